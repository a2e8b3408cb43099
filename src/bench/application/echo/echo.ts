import { techniqueName } from '../../../results/schema.js';
import type { Application } from '../application.js';
import { baseline, raw, reuseport, sleep, steered } from '../variant.js';
import { loadWords, parameters, readLoad } from './load.js';
import { preset } from './plan.js';
import { echoCommand } from './programs.js';
import { askChannels, greetingOf, identityOf, wordsFile } from './words.js';

const stock = [baseline, reuseport, steered, sleep, raw] as const;

/** The paper's microbenchmark (sections 2.2 and 5.1): a server that says again what it is told, and its rivals. */
export const echo: Application = {
  name: 'echo',
  workload: 'messages that come back, compared with what was sent',
  parameters,
  workloads: ['echo'],
  varies: ['requestsPerConnection', 'messageBytes', 'cores', 'connections', 'rate'],
  commonArguments: [],
  fineGrainedLocks: false,
  stock,
  techniques: techniqueName.options,
  defaultPort: 7777,
  preset,
  prepareContent: async () => ({ folder: '', parameters: {}, remove: () => undefined }),
  serverCommand: (variant, place, folders) => [
    // The shell becomes the server, whose words are kept.
    ...['sh', '-c', 'exec "$@" > "$0"', wordsFile(folders)],
    ...echoCommand(variant, place),
  ],
  processes: () => 1,
  orphaned: 'KILL',
  isReady: async (_ask, folders) => greetingOf(folders) !== '',
  identify: async (_ask, folders) => identityOf(greetingOf(folders), stock),
  readChannels: async (_ask, started) => askChannels(identityOf(greetingOf(started.folders), stock), started),
  complaints: () => ({ words: '', fatal: false }),
  loadWords,
  readLoad,
};
