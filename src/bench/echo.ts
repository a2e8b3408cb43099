import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { engineName } from '../results.js';
import type { Application, Identity, ServerFolders } from './application.js';
import { connections, loadCommand, parameters, readLoad } from './echo-load.js';
import { preset } from './echo-plan.js';
import { echoCommand } from './echo-programs.js';
import { baseline, raw, reuseport, sleep, steered } from './variant.js';

/** The paper's microbenchmark (sections 2.2 and 5.1): a server that says again what it is told, and its rivals. */
export const echo: Application = {
  name: 'echo',
  workload: 'messages that come back, compared with what was sent, closed loop',
  parameters: { connections, ...parameters },
  workloads: ['echo'],
  varies: ['requestsPerConnection', 'messageBytes', 'cores', 'connections', 'rate'],
  commonArguments: [],
  stock: [baseline, reuseport, steered, sleep, raw],
  defaultPort: 7777,
  preset,
  prepareContent: async () => ({ folder: '', parameters: {}, remove: () => undefined }),
  serverCommand: (variant, place, folders) => [
    // The shell becomes the server, whose words are kept.
    ...['sh', '-c', 'exec "$@" > "$0"', greetingFile(folders)],
    ...echoCommand(variant, place),
  ],
  processes: () => 1,
  orphaned: 'KILL',
  isReady: async (_ask, folders) => readGreeting(folders).startsWith('listening'),
  identify: async (_ask, folders) => identityOf(readGreeting(folders)),
  readChannels: async () => null,
  complaints: () => ({ words: '', fatal: false }),
  loadCommand,
  readLoad,
};

const greetingFile = ({ scratch }: ServerFolders) => join(scratch, 'greeting');

function readGreeting(folders: ServerFolders): string {
  const file = greetingFile(folders);
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
}

const greeting = /^listening: engine (\w+), batch (\d+), lwsocket (on|off), partition (on|off)$/;

/** From what the server said when it listened. */
function identityOf(words: string): Identity {
  const [, engine, batch, lwsocket, partition] = greeting.exec(words) ?? [];
  if (engine === undefined) return null;
  return {
    engine: engineName.parse(engine),
    batch: Number(batch),
    techniques: [
      ...(partition === 'on' ? (['partition'] as const) : []),
      ...(Number(batch) > 1 ? (['batch'] as const) : []),
      ...(lwsocket === 'on' ? (['lwsocket'] as const) : []),
    ],
  };
}
