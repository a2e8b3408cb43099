import { loadPort, serverBinary } from '../../../port/port.js';
import { type EngineName, techniqueName, type Variant } from '../../../results/schema.js';
import type { Application, Grid, PhaseSpec, Preset, ServerPlace } from '../application.js';
import { gridOf } from '../grid.js';
import { accumulated, baseline, fineGrained, whole } from '../variant.js';
import { identityIn, readChannels } from './channels.js';
import { loadWords, parameters, readLoad } from './load.js';

/**
 * Memory far beyond what is stored, so that nothing is evicted, and a hash table that never grows while we measure: the
 * paper's 2^22 entries (its 4 GiB of memory hold more items than we store). Workers are pinned, the baseline's too (paper,
 * footnote 5).
 */
const commonArguments = ['-U', '0', '-m', '1024', '-c', '4096', '-o', 'hashpower=22,pin_threads'];

/** memcached as the paper loads it (section 5.2): memaslap's default workload. */
export const memcachedAt = (version?: string): Application => ({
  name: 'memcached',
  version,
  port: () => loadPort('memcached', version),
  workload: 'gets and sets over TCP, every value stored before and verified when got',
  parameters,
  workloads: ['memaslap'],
  varies: ['requestsPerConnection', 'cores', 'connections', 'rate'],
  commonArguments,
  fineGrainedLocks: isPapersMemcached(version),
  stock: isPapersMemcached(version) ? [baseline, fineGrained(baseline)] : [baseline],
  techniques: techniqueName.options,
  defaultPort: 11211,
  preset: (name, engines) => preset(name, engines, isPapersMemcached(version)),
  prepareContent: async () => ({ folder: '', parameters: {}, remove: () => undefined }),
  serverCommand: (variant, place) =>
    memcachedCommand(serverBinary(loadPort('memcached', version), variant.server), variant, place),
  processes: () => 1,
  orphaned: 'KILL',
  isReady: async (ask) => /^VERSION /.test(await ask('version\r\nquit\r\n')),
  identify: async (ask) => identityIn(await ask(statsWords), await ask(locksWords)),
  readChannels: async (ask) => readChannels(await ask(statsWords)),
  complaints: () => ({ words: '', fatal: false }),
  loadWords,
  readLoad,
});

/** The paper's version. It has a lock for the whole cache that it can do without, and no thread for LRU lists. */
export const isPapersMemcached = (version?: string) => version === '1.4.13';

const statsWords = 'stats megapipe\r\nquit\r\n';
const locksWords = 'stats locks\r\nquit\r\n';

/** The command line of one variant; the variants differ in nothing else. */
export function memcachedCommand(
  binary: string,
  variant: Variant,
  { address, port, workers }: ServerPlace,
): string[] {
  const place = ['-l', address, '-p', String(port), '-t', String(workers)];
  // memcached refuses to run as root unless told so; dropping rights would differ between engines.
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
  const locks = variant.fineGrainedLocks ? ['-o', 'fine_grained_locks'] : [];
  const options = variant.server === 'megapipe' ? ['-o', megapipeOptions(variant)] : [];
  return [binary, ...user, ...place, ...commonArguments, ...locks, ...options];
}

function megapipeOptions({ engine, techniques, batch, moderationUs }: Variant): string {
  return [
    'megapipe',
    `megapipe_engine=${engine}`,
    `megapipe_batch=${batch}`,
    `megapipe_moderation_us=${moderationUs}`,
    ...(techniques.includes('lwsocket') ? [] : ['no_megapipe_lwsocket']),
    ...(techniques.includes('partition') ? [] : ['no_megapipe_partition']),
  ].join(',');
}

const grid = (varied: Partial<Grid>) =>
  gridOf({ workload: ['memaslap'], requestsPerConnection: ['unlimited'], ...varied });

/** The points of the paper's Fig. 5. */
const allLengths = [grid({ requestsPerConnection: [1, 2, 4, 8, 16, 32, 64, 128, 'unlimited'] })];

/** Of an open loop: what any machine reaches. */
const openRate = 20_000;

/** The points of its Fig. 6, in a closed loop and in an open one. */
const latencies = (numbers: number[]) => [
  grid({ connections: numbers }),
  grid({ connections: numbers, rate: [openRate] }),
];

/**
 * Techniques are told apart on the first engine; the full run shows the others whole. Separate hosts get the
 * rivals. The paper's Fig. 5 has the -FL form of both servers.
 */
function preset(name: 'quick' | 'full', engines: EngineName[], withFine: boolean): Preset {
  const { phases, ...times } =
    name === 'full'
      ? { phases: fullPhases(engines), durationMs: 1000, warmupMs: 300 }
      : { phases: quickPhases(engines), durationMs: 500, warmupMs: 200 };
  const fine = withFine ? [baseline, ...engines.slice(0, 1).map(whole)].map(fineGrained) : [];
  const [main, ...others] = phases;
  return { phases: [{ ...main, variants: [...main.variants, ...fine] }, ...others], ...times };
}

function fullPhases(engines: EngineName[]): [PhaseSpec, ...PhaseSpec[]] {
  const [first, ...others] = engines;
  const rivals = [baseline, ...engines.map(whole)];
  const few = [grid({ requestsPerConnection: [1, 8, 'unlimited'] })];
  return [
    {
      headline: true,
      about: 'requests a connection',
      topology: 'loopback',
      variants: [baseline, ...(first ? accumulated(first) : []), ...others.map(whole)],
      grids: allLengths,
      samples: 5,
    },
    {
      about: 'latency over connections',
      topology: 'loopback',
      variants: rivals,
      grids: latencies([64, 128, 256, 512, 1024]),
      samples: 5,
    },
    { about: 'requests a connection', topology: 'netns-shared', variants: rivals, grids: few, samples: 5 },
    { about: 'requests a connection', topology: 'netns', variants: rivals, grids: few, samples: 5 },
    { about: 'requests a connection', topology: 'netns-3', variants: rivals, grids: few, samples: 5 },
  ];
}

function quickPhases([first]: EngineName[]): [PhaseSpec, ...PhaseSpec[]] {
  const rivals = [baseline, ...(first ? [whole(first)] : [])];
  return [
    {
      headline: true,
      about: 'requests a connection',
      topology: 'loopback',
      variants: rivals,
      grids: [grid({ requestsPerConnection: [1, 10, 'unlimited'] })],
      samples: 5,
    },
    {
      about: 'one technique after another',
      topology: 'loopback',
      variants: [baseline, ...(first ? accumulated(first).slice(0, -1) : [])],
      grids: [grid({ requestsPerConnection: [1, 10, 'unlimited'] })],
      samples: 5,
    },
    {
      about: 'latency over connections',
      topology: 'loopback',
      variants: rivals,
      grids: [grid({ connections: [64, 1024] }), grid({ connections: [1024], rate: [openRate] })],
      samples: 5,
    },
    {
      about: 'requests a connection',
      topology: 'netns',
      variants: rivals,
      grids: [grid({ requestsPerConnection: [1, 'unlimited'] })],
      samples: 5,
    },
  ];
}
