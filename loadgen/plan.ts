import type { Plan } from './engine.js';
import type { Address, CommonOptions } from './options.js';
import { type Random, seededRandom } from './random.js';

/** Independent series of random numbers of one seed. */
export const stream = {
  keySizes: 0,
  valueSizes: 1,
  pattern: 2,
  ranks: 3,
  limits: 5,
  order: 6,
  threads: 16,
  /** Threads are 1,024 at most. */
  arrivals: 2048,
};

/** More than streams have numbers, threads' included. */
const streamsOfAPart = 4096;

/** What a load is split by: of one seed, but with series of random numbers of their own. */
export type Part = { seed: number; part?: number | undefined };

/** A series of what the parts of a load don't have in common. */
export function ownRandom({ seed, part = 0 }: Part, which: number): Random {
  return seededRandom(seed, which + part * streamsOfAPart);
}

type Shared = Omit<
  Plan,
  'protocol' | 'limits' | 'sequences' | 'keys' | 'keyOffsets' | 'pattern' | 'requestSize' | 'answerSize'
>;

/** Times of a Poisson process before they repeat; of all threads together no more than memory has room for. */
const longestSeries = 1 << 16;
const mostGaps = 1 << 22;

/** Exponential times, scaled so that they keep their mean exactly, however often they are repeated. */
function poissonGaps(random: Random, mean: number, length: number): Float64Array {
  const gaps = Float64Array.from({ length }, () => -Math.log(1 - random()));
  const scale = (mean * length) / gaps.reduce((sum, gap) => sum + gap, 0);
  return gaps.map((gap) => gap * scale);
}

/** Each thread's times between two requests. Threads share the rate evenly. */
function makeGaps(options: CommonOptions): Float64Array {
  const { threads, rate } = options;
  if (rate === undefined) return new Float64Array(0);
  const mean = (1e9 * threads) / rate;
  if (options.arrival === 'constant') return new Float64Array(threads).fill(mean);
  const length = Math.min(longestSeries, Math.floor(mostGaps / threads));
  const gaps = new Float64Array(threads * length);
  for (let thread = 0; thread < threads; thread++) {
    const random = ownRandom(options, stream.arrivals + thread);
    gaps.set(poissonGaps(random, mean, length), thread * length);
  }
  return gaps;
}

/** What a plan has of the options that every load generator has. */
export function sharedPlan(options: CommonOptions & { address: Address }): Shared {
  return {
    ...options.address,
    engine: options.engine,
    batch: options.batch,
    threads: options.threads,
    cpus: Uint32Array.from({ length: options.threads }, (_, i) => options.cpus[i % options.cpus.length] ?? 0),
    concurrency: options.concurrency,
    pipeline: options.pipeline,
    multiget: 1,
    resetClose: options.close === 'rst',
    verify: options.verify,
    timeoutNs: options.timeout * 1e9,
    warmupNs: options.warmup * 1e9,
    durationNs: (options.duration ?? 0) * 1e9,
    requests: options.requests ?? 0,
    gapsNs: makeGaps(options),
  };
}
