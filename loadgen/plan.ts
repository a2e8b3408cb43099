import { UserError } from '../src/base/errors.js';
import type { Plan } from './engine.js';
import type { Address, CommonOptions } from './options.js';
import { type Random, seededRandom } from './random.js';
import { dueIn, lengthOf, meanRate, type RateStep } from './rate.js';

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
/** Steps don't repeat: each of their requests has a time of its own, of 8 bytes. */
const mostInSteps = 1 << 25;

/** Exponential times, scaled so that they keep their mean exactly, however often they are repeated. */
function poissonGaps(random: Random, mean: number, length: number): Float64Array {
  const gaps = Float64Array.from({ length }, () => -Math.log(1 - random()));
  const scale = (mean * length) / gaps.reduce((sum, gap) => sum + gap, 0);
  return gaps.map((gap) => gap * scale);
}

/** Times between the requests of a constant rate that each thread sends; threads share it evenly. */
function constantGaps(options: CommonOptions, rate: number): Float64Array {
  const { threads } = options;
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

/** The warm-up goes at the rate with which the first step begins; from 0 up there is none to speak of. */
function withWarmup(steps: RateStep[], warmup: number): RateStep[] {
  const [first] = steps;
  const rate = first ? first.from || first.to / 100 : 0;
  return warmup > 0 ? [{ from: rate, to: rate, seconds: warmup }, ...steps] : steps;
}

/**
 * Times between requests of steps. Requests are counted through by all threads, who take turns: thread i's n-th is number
 * n·threads + i, and due when the steps have come to that many. Poisson's are the same at random numbers with that mean.
 */
function steppedGaps(options: CommonOptions, steps: RateStep[]): Float64Array {
  const { threads, warmup } = options;
  const all = withWarmup(steps, warmup);
  const total = meanRate({ steps: all }) * (lengthOf({ steps: all }) as number);
  if (total > mostInSteps)
    throw new UserError(`--rate asks for ${Math.round(total)} requests in its steps`, {
      hint: `steps may have ${mostInSteps} requests together: make them shorter or slower`,
      exitCode: 2,
    });
  const due = dueIn(all);
  const length = Math.ceil(total / threads) + 1;
  const gaps = new Float64Array(threads * length);
  // From the last request on nothing is due any more.
  const never = 1e18;
  for (let thread = 0; thread < threads; thread++) {
    const random = ownRandom(options, stream.arrivals + thread);
    const between =
      options.arrival === 'poisson' ? poissonGaps(random, threads, length) : constantNumbers(threads, length);
    let [number, beforeS] = [thread, due(thread)];
    for (let n = 0; n < length; n++) {
      number += between[n] as number;
      const atS = due(number);
      gaps[thread * length + n] = Number.isFinite(atS) ? (atS - beforeS) * 1e9 : never;
      beforeS = atS;
    }
  }
  return gaps;
}

const constantNumbers = (threads: number, length: number) => new Float64Array(length).fill(threads);

/** Each thread's times between two requests; empty: a closed loop. */
function makeGaps(options: CommonOptions): Float64Array {
  const { rate } = options;
  if (rate === undefined) return new Float64Array(0);
  return 'constant' in rate ? constantGaps(options, rate.constant) : steppedGaps(options, rate.steps);
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
