import type { Known } from '../subject.js';
import type { Client, NginxScenario } from './scenario.js';

const asksForLoop = (clients: Client[]) =>
  clients.some(({ steps }) =>
    steps.some(
      (step) => step.do === 'request' && step.requests.some(({ resource }) => resource.kind === 'loop'),
    ),
  );

export const knownOfNginx: Known<NginxScenario>[] = [
  {
    // The library listens on a duplicate, so that a descriptor that the application closes ends no accept of others.
    reason: 'a listener that a reload has added holds a second descriptor in each worker',
    is: ({ fact, engine }, { workers, life }) =>
      fact === 'descriptors held afterwards' &&
      life.some((step) => step.do === 'reload' && Number(engine) <= workers * (2 * step.listeners + 8)),
  },
  {
    // Both close what they have no connection for, before it is read, which resets it if a request had come.
    reason: 'at which length a loop ends, and by a reset or not, is chance',
    is: ({ fact }, { clients }) =>
      asksForLoop(clients) &&
      /^access log: \S+ \/loop 502|^error log: \[error\] (?:upstream prematurely closed connection|recv\(\) failed \(N: Connection reset by peer\)) while reading response header/.test(
        fact,
      ),
  },
  {
    reason: 'how far a worker had come with its clients and their upstreams when it is killed is chance',
    is: ({ fact }, { life }) =>
      life.some((step) => step.do === 'kill worker') && /^(?:client|access log|error log)/.test(fact),
  },
];
