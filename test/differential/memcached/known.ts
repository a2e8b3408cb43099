import type { Known } from '../subject.js';
import type { Client, ClientStep, Command, Line, MemcachedScenario } from './scenario.js';

const sends = (client: Client | undefined, line: Line) =>
  client?.steps.some(
    (step) =>
      step.do === 'commands' &&
      step.commands.some((command) => command.kind === 'line' && command.line === line),
  ) ?? false;

const clientOf = (fact: string) => Number(/^client (\d+): /.exec(fact)?.[1]);

/** Whether clients, and the descriptors that stock has itself, may reach -c together. */
const mayReachLimit = ({ connections, threads, clients }: MemcachedScenario) =>
  clients.reduce((sum, { copies }) => sum + copies, 5 * threads + 10) >= connections;

/** The values that clients set, in bytes: those that the server takes. */
function bytesSet({ clients, itemMegabytes }: MemcachedScenario): number {
  const sizeOf = (command: Command) =>
    'size' in command && command.size < itemMegabytes * 2 ** 20 ? command.size : 0;
  const sizeOfStep = (step: ClientStep) =>
    step.do === 'commands' ? step.times * step.commands.reduce((sum, one) => sum + sizeOf(one), 0) : 0;
  return clients.reduce(
    (sum, { copies, steps }) => sum + copies * steps.reduce((all, step) => all + sizeOfStep(step), 0),
    0,
  );
}

export const knownOfMemcached: Known<MemcachedScenario>[] = [
  {
    // Stock takes -c for its RLIMIT_NOFILE too, and so has no descriptors for as many. Over us a connection may need none.
    reason: 'near -c stock serves fewer than it says, and resets others, or leaves them waiting',
    is: ({ fact }, scenario) => mayReachLimit(scenario) && /^(?:client \d+:|stats:|says)/.test(fact),
  },
  {
    // By hand, 60 sets of 900 kB at -m 8: stock stores 4 to 40 of them.
    reason: 'which values are still there, or find room, when they exceed -m is chance',
    is: ({ fact }, scenario) => {
      const share = bytesSet(scenario) / (scenario.megabytes * 2 ** 20);
      if (share > 3 && /^(?:client \d+|stats): /.test(fact)) return true;
      return share > 0.7 && /^stats: (?:get_hits|curr_items|delete_hits)/.test(fact);
    },
  },
  {
    reason: 'a dump of all keys has those that other clients have set by then',
    is: ({ fact }, { clients }) =>
      fact.endsWith(': got') && sends(clients[clientOf(fact)], 'lru_crawler metadump all'),
  },
  {
    // process_get_command() calls conn_release_items(): how many answers it drops depends on when they are sent.
    reason: 'a get of too long a key drops the answers before it that have not been sent yet',
    is: ({ fact }, { clients }) => {
      const client = clients[clientOf(fact)];
      return client?.way !== 'binary' && sends(client, 'get longkey') && fact.endsWith(': got');
    },
  },
];
