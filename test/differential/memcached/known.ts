import type { Known } from '../subject.js';
import type { Client, Line, MemcachedScenario } from './scenario.js';

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

export const knownOfMemcached: Known<MemcachedScenario>[] = [
  {
    // Stock takes -c for its RLIMIT_NOFILE too, and so has no descriptors for as many. Over us a connection may need none.
    reason: 'near -c stock serves fewer than it says, and resets others, or leaves them waiting',
    is: ({ fact }, scenario) => mayReachLimit(scenario) && /^(?:client \d+:|stats:|says)/.test(fact),
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
