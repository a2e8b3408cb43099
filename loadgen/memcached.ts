import { shuffle } from './apportion.js';
import type { Plan } from './engine.js';
import { largestValue, longestKey, type MemcachedOptions } from './options.js';
import { ownRandom, sharedPlan, stream } from './plan.js';
import { type Random, seededRandom, uniformInteger } from './random.js';
import { sampler } from './sizes.js';
import { zipf } from './zipf.js';

/** Its kinds of requests, as memcached.h numbers them: get is 0. */
const SET = 1;
const KIND_SHIFT = 30;

/** How far into the pattern a value may start: LOAD_PATTERN_SLACK. */
const PATTERN_SLACK = 4096;
const SEQUENCE_LEAST = 2 ** 18;
const SEQUENCE_MOST = 2 ** 22;
const PREFILL_PIPELINE = 64;
/** An answer is its value, its key and some words. */
const answerOverhead = 512;

type Keys = Pick<Plan, 'keys' | 'keyOffsets'>;

/** Key i: its number, '-', then filling. No other number begins like that, so keys differ whatever their sizes. */
function keyName(index: number, size: number, seed: number): string {
  return `${index.toString(36)}-${seed}-`.padEnd(size, 'k').slice(0, size);
}

function makeKeys(options: MemcachedOptions): Keys {
  const size = sampler(options.keySize, 'key', seededRandom(options.seed, stream.keySizes), [1, longestKey]);
  const sizes = Uint8Array.from({ length: options.keys }, (_, i) => Math.max(size(), i.toString(36).length));
  const keyOffsets = new Uint32Array(options.keys + 1);
  sizes.forEach((bytes, i) => {
    keyOffsets[i + 1] = (keyOffsets[i] ?? 0) + bytes;
  });
  const keys = Buffer.alloc(keyOffsets[options.keys] ?? 0);
  sizes.forEach((bytes, i) => {
    keys.write(keyName(i, bytes, options.seed), keyOffsets[i] ?? 0, 'latin1');
  });
  return { keys, keyOffsets };
}

/** Random bytes; every value is a cut from them. */
function makePattern(seed: number, longest: number): Uint8Array {
  const random = seededRandom(seed, stream.pattern);
  const words = new Uint32Array(Math.ceil((longest + PATTERN_SLACK) / 4));
  for (let i = 0; i < words.length; i++) words[i] = random() * 2 ** 32;
  return new Uint8Array(words.buffer);
}

function makeValueSizes(options: MemcachedOptions): Uint32Array {
  const random = seededRandom(options.seed, stream.valueSizes);
  const size = sampler(options.valueSize, 'value', random, [0, largestValue]);
  return Uint32Array.from({ length: options.keys }, size);
}

/** Keys by their popularity; the most popular ones lie anywhere among the keys. */
function keyPicker(options: MemcachedOptions, random: Random): () => number {
  if (options.popularity.kind === 'uniform') return () => uniformInteger(random, 0, options.keys - 1);
  const all = Uint32Array.from({ length: options.keys }, (_, i) => i);
  const shuffled = shuffle(all, seededRandom(options.seed, stream.ranks));
  const rank = zipf(random, options.keys, options.popularity.alpha);
  return () => shuffled[rank() - 1] ?? 0;
}

/** Long enough to ask for most keys, unless there are very many. */
function sequenceLength(keys: number): number {
  return Math.min(SEQUENCE_MOST, Math.max(SEQUENCE_LEAST, 4 * keys));
}

function makeSequences(options: MemcachedOptions): Uint32Array {
  const length = sequenceLength(options.keys);
  const sequences = new Uint32Array(options.threads * length);
  const sets = options.getSet.set / (options.getSet.get + options.getSet.set);
  for (let thread = 0; thread < options.threads; thread++) {
    const random = ownRandom(options, stream.threads + thread);
    const pick = keyPicker(options, random);
    for (let i = thread * length; i < (thread + 1) * length; i++) {
      sequences[i] = ((random() < sets ? SET : 0) << KIND_SHIFT) | pick();
    }
  }
  return sequences;
}

/** Everything that is sent, decided beforehand: the engine only walks it. */
export function makePlan(options: MemcachedOptions): Plan {
  const valueSizes = makeValueSizes(options);
  const longest = valueSizes.reduce((a, b) => Math.max(a, b), 0);
  return {
    ...sharedPlan(options),
    protocol: `memcached-${options.protocol}`,
    multiget: options.multiget,
    requestSize: longest + options.multiget * (longestKey + 1),
    answerSize: longest + answerOverhead,
    limits: Uint32Array.of(options.requestsPerConnection ?? 0),
    sequences: makeSequences(options),
    ...makeKeys(options),
    valueSizes,
    pattern: makePattern(options.seed, longest),
  };
}

/** Set every key once, in order, over few connections with many requests in flight; at a rate, if there is one. */
export function makePrefillPlan(plan: Plan, rate?: number): Plan {
  const items = plan.keyOffsets.length - 1;
  return {
    ...plan,
    threads: 1,
    cpus: plan.cpus.slice(0, 1),
    concurrency: 4,
    pipeline: PREFILL_PIPELINE,
    multiget: 1,
    warmupNs: 0,
    durationNs: 0,
    requests: items,
    limits: Uint32Array.of(0),
    gapsNs: rate === undefined ? new Float64Array(0) : Float64Array.of(1e9 / rate),
    sequences: Uint32Array.from({ length: items }, (_, i) => ((SET << KIND_SHIFT) | i) >>> 0),
  };
}
