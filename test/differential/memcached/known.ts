import type { Known } from '../subject.js';
import type { Client, Line, MemcachedScenario } from './scenario.js';

const sends = (client: Client | undefined, line: Line) =>
  client?.steps.some(
    (step) =>
      step.do === 'commands' &&
      step.commands.some((command) => command.kind === 'line' && command.line === line),
  ) ?? false;

const clientOf = (fact: string) => Number(/^client (\d+): /.exec(fact)?.[1]);

export const knownOfMemcached: Known<MemcachedScenario>[] = [
  {
    // Stock closes before what the client has sent is read, which resets the connection and takes the sentence away.
    reason: 'who comes beyond -c is told so, where stock may only reset',
    is: ({ fact }, { connections, clients }) =>
      clients.some(({ copies }) => copies >= connections - 8) &&
      /^client \d+: (?:reset, nothing|closed, ERROR)$/.test(fact),
  },
  {
    // process_get_command() calls conn_release_items(): how many answers it drops depends on when they are sent.
    reason: 'a get of too long a key drops the answers before it that have not been sent yet',
    is: ({ fact }, { clients }) => sends(clients[clientOf(fact)], 'get longkey') && fact.endsWith(': got'),
  },
];
