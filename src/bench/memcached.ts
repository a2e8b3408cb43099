import { loadPort, serverBinary } from '../port.js';
import type { EngineName, RequestsPerConnection, Variant } from '../results.js';
import type { Application, Axes, Preset, ServerPlace } from './application.js';
import { readChannels } from './memcached-channels.js';
import { loadCommand, parameters, readLoad } from './memcached-load.js';
import { accumulated, baseline, whole } from './variant.js';

/**
 * Memory far beyond what is stored, so that nothing is evicted, and a hash table that never grows while we measure: the
 * paper's 2^22 entries (its 4 GiB of memory hold more items than we store). Workers are pinned, the baseline's too (paper,
 * footnote 5).
 */
const commonArguments = ['-U', '0', '-m', '1024', '-c', '4096', '-o', 'hashpower=22,pin_threads'];

/** memcached as the paper loads it (section 5.2): memaslap's default workload. */
export const memcached: Application = {
  name: 'memcached',
  workload: 'gets and sets over TCP, every value stored before and verified when got, closed loop',
  parameters,
  concurrency: parameters.connections,
  workloads: ['memaslap'],
  axis: 'requestsPerConnection',
  commonArguments,
  stock: [baseline],
  defaultPort: 11211,
  preset,
  prepareContent: async () => ({ folder: '', parameters: {}, remove: () => undefined }),
  serverCommand: (variant, place) =>
    memcachedCommand(serverBinary(loadPort('memcached'), variant.server), variant, place),
  processes: () => 1,
  orphaned: 'KILL',
  ready: { words: 'version\r\nquit\r\n', answer: /^VERSION / },
  identify: async (ask) => readChannels(await ask(statsWords)),
  readChannels: async (ask) => readChannels(await ask(statsWords)),
  complaints: () => ({ words: '', fatal: false }),
  loadCommand,
  readLoad,
};

const statsWords = 'stats megapipe\r\nquit\r\n';

/** The command line of one variant; the variants differ in nothing else. */
export function memcachedCommand(
  binary: string,
  variant: Variant,
  { address, port, workers }: ServerPlace,
): string[] {
  const place = ['-l', address, '-p', String(port), '-t', String(workers)];
  // memcached refuses to run as root unless told so; dropping rights would differ between engines.
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
  const options = variant.server === 'megapipe' ? ['-o', megapipeOptions(variant)] : [];
  return [binary, ...user, ...place, ...commonArguments, ...options];
}

function megapipeOptions({ engine, techniques, batch }: Variant): string {
  return [
    'megapipe',
    `megapipe_engine=${engine}`,
    `megapipe_batch=${batch}`,
    ...(techniques.includes('lwsocket') ? [] : ['no_megapipe_lwsocket']),
    ...(techniques.includes('partition') ? [] : ['no_megapipe_partition']),
  ].join(',');
}

const axes = (requestsPerConnection: RequestsPerConnection[]): Axes => ({
  workloads: ['memaslap'],
  cores: 'all',
  requestsPerConnection,
});

/** The points of the paper's Fig. 5. */
const allPoints = axes([1, 2, 4, 8, 16, 32, 64, 128, 'unlimited']);

/**
 * The quick run tells the techniques apart on the first engine alone and shows the others whole; separate hosts get
 * the two rivals.
 */
function preset(name: 'quick' | 'full', engines: EngineName[]): Preset {
  const wholes = engines.map(whole);
  if (name === 'full') {
    const variants = [baseline, ...engines.flatMap(accumulated)];
    const rivals = { variants: [baseline, ...wholes], axes: axes([1, 8, 'unlimited']), samples: 6 };
    const phases: Preset['phases'] = [
      { topology: 'loopback', variants, axes: allPoints, samples: 6 },
      { topology: 'netns-shared', ...rivals },
      { topology: 'netns', ...rivals },
    ];
    return { phases, durationMs: 4000, warmupMs: 1000 };
  }
  const [first, ...others] = engines;
  const variants = [baseline, ...(first ? accumulated(first) : []), ...others.map(whole)];
  const rivals = [baseline, ...wholes.slice(0, 1)];
  const few = { axes: axes([1, 10, 'unlimited']), samples: 5 };
  const phases: Preset['phases'] = [
    { topology: 'loopback', variants, ...few },
    { topology: 'netns', variants: rivals, ...few },
  ];
  return { phases, durationMs: 1500, warmupMs: 400 };
}
