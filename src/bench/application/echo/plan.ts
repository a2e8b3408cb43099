import type { EngineName, Variant } from '../../../results/schema.js';
import type { Grid, PhaseSpec, Preset } from '../application.js';
import { gridOf } from '../grid.js';
import {
  accumulated,
  baseline,
  megapipe,
  moderated,
  raw,
  reuseport,
  sleep,
  steered,
  waits,
  whole,
} from '../variant.js';
import { sleepUs } from './programs.js';

/** The paper's defaults: 64 B a message, 10 transactions a connection, all cores. */
const grid = (varied: Partial<Grid>) =>
  gridOf({ workload: ['echo'], requestsPerConnection: [10], messageBytes: [64], ...varied });

/** The lengths of connections of the paper's Fig. 1a and Table 3, and connections without end. */
const allLengths: Grid['requestsPerConnection'] = [1, 2, 4, 8, 16, 32, 64, 128, 'unlimited'];

/** The sizes of its Fig. 1b. */
const allSizes = [64, 256, 1024, 4096, 16_384, 65_536];

/** What the microbenchmark measures: the paper's Fig. 1, 3 and 4 and Table 3, and the library on one core. */
export function preset(name: 'quick' | 'full', engines: EngineName[]): Preset {
  return name === 'full'
    ? { phases: fullPhases(engines), durationMs: 800, warmupMs: 200 }
    : { phases: quickPhases(engines), durationMs: 350, warmupMs: 150 };
}

function fullPhases(engines: EngineName[]): PhaseSpec[] {
  const [first, ...others] = engines;
  const techniques = first ? accumulated(first) : [];
  const all = engines.map(whole);
  const samples = 5;
  return [
    {
      headline: true,
      about: 'requests a connection',
      topology: 'loopback',
      variants: [baseline, sleep, reuseport, steered, raw, ...techniques, ...others.map(whole)],
      grids: [grid({ requestsPerConnection: allLengths })],
      samples,
    },
    {
      about: 'cores and sizes of messages',
      topology: 'loopback',
      variants: [baseline, steered, ...all.slice(0, 1)],
      grids: [
        grid({ messageBytes: allSizes }),
        grid({ requestsPerConnection: [1, 10, 128], cores: 'each' }),
        grid({ messageBytes: [64, 256, 1024, 4096], cores: 'each' }),
      ],
      samples,
    },
    {
      about: 'one core',
      topology: 'one-core',
      variants: [baseline, sleep, raw, ...(first ? [megapipe(first, [])] : []), ...all],
      grids: [grid({ requestsPerConnection: [1, 8, 'unlimited'] })],
      samples,
    },
    {
      about: 'requests a connection',
      topology: 'netns-3',
      // Clients have CPUs of their own, so that a server that keeps up with them wakes up a lot.
      variants: [baseline, sleep, steered, ...all.slice(0, 1).flatMap(withWaiting)],
      grids: [grid({ requestsPerConnection: [1, 10, 'unlimited'] })],
      samples,
    },
  ];
}

/** It, and it with moderation, that waits as long as the rival that sleeps; who can't wait is alone. */
function withWaiting(variant: Variant): Variant[] {
  return waits(variant.engine) ? [variant, moderated(variant, sleepUs)] : [variant];
}

function quickPhases([first]: EngineName[]): PhaseSpec[] {
  const samples = 5;
  const lengths = [grid({ requestsPerConnection: [1, 10, 'unlimited'] })];
  return [
    {
      headline: true,
      about: 'requests a connection',
      topology: 'loopback',
      variants: [baseline, ...(first ? [whole(first)] : [])],
      grids: lengths,
      samples,
    },
    {
      about: 'rivals, and one technique after another',
      topology: 'loopback',
      variants: [baseline, steered, raw, ...(first ? accumulated(first).slice(0, -1) : [])],
      grids: lengths,
      samples,
    },
    {
      about: 'cores and sizes of messages',
      topology: 'loopback',
      variants: [baseline, ...(first ? [whole(first)] : [])],
      // A speed-up is within a round: so all cores are in these rounds, too.
      grids: [grid({ messageBytes: [64, 4096] }), grid({ cores: [1] })],
      samples,
    },
  ];
}
