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
    // As with reuseport, each worker inherits the queues of all.
    reason: 'a listener with a partition has an accept queue for each worker',
    is: ({ fact, engine }, { partition, workers, life }) =>
      fact === 'descriptors held afterwards' &&
      partition &&
      life.some(
        (step) => step.do === 'reload' && Number(engine) <= workers * ((workers + 1) * step.listeners + 8),
      ),
  },
  {
    // Both close what they have no connection for, before it is read, which resets it if a request had come.
    // Of stock's own runs of one seed some answer 500 and some 502, and clients beside it are refused or not.
    reason:
      'at which length a loop ends, with which status, and who finds no connection meanwhile, is chance',
    is: ({ fact }, { clients }) =>
      asksForLoop(clients) &&
      /^client \d+: |^access log: |^error log: \[error\] (?:upstream prematurely closed connection|recv\(\) failed \(N: Connection reset by peer\)) while reading response header|^error log: \[\w+\] N worker_connections are not enough/.test(
        fact,
      ),
  },
  {
    reason: 'how far a worker had come with its clients and their upstreams when it is killed is chance',
    is: ({ fact }, { life }) =>
      life.some((step) => step.do === 'kill worker') && /^(?:client|access log|error log)/.test(fact),
  },
];
