import { mean, standardDeviation } from 'simple-statistics';
import { describe, expect, test } from 'vitest';
import { makePlan } from '../../loadgen/memcached.js';
import { memcachedOptions } from '../../loadgen/options.js';
import { seededRandom } from '../../loadgen/random.js';
import { parseSizes, sampler } from '../../loadgen/sizes.js';
import { zipf } from '../../loadgen/zipf.js';

/** Sum of squared deviations, each relative to what was expected. */
function chiSquare(observed: number[], expected: number[]): number {
  return observed.reduce((sum, n, i) => sum + (n - (expected[i] ?? 0)) ** 2 / (expected[i] ?? 1), 0);
}

/** What chi-square exceeds once in 100,000, by Wilson and Hilferty. */
function chiSquareLimit(degrees: number): number {
  const z = 4.265;
  return degrees * (1 - 2 / (9 * degrees) + z * Math.sqrt(2 / (9 * degrees))) ** 3;
}

/** How often each number from 0 to n - 1 comes up. */
function tally(numbers: Iterable<number>, n: number): number[] {
  const counts = new Float64Array(n);
  for (const i of numbers) counts[i] = (counts[i] ?? 0) + 1;
  return [...counts];
}

const draws = 200_000;

function draw(text: string, what: 'key' | 'value', [low, high] = [0, 8 << 20]): number[] {
  const sizes = parseSizes(text);
  if (!sizes) throw new Error(text);
  const sample = sampler(sizes, what, seededRandom(1, 0), [low ?? 0, high ?? 0]);
  return Array.from({ length: draws }, sample);
}

describe('random numbers', () => {
  test('are uniform', () => {
    const random = seededRandom(7, 3);
    const numbers = Array.from({ length: draws }, () => Math.floor(random() * 100));
    const counts = tally(numbers, 100);
    expect(
      chiSquare(
        counts,
        counts.map(() => draws / 100),
      ),
    ).toBeLessThan(chiSquareLimit(99));
  });
  test('of neighbouring streams and seeds are unrelated', () => {
    for (const [one, other] of [
      [seededRandom(1, 0), seededRandom(1, 1)],
      [seededRandom(1, 0), seededRandom(2, 0)],
    ] as const) {
      const products = Array.from({ length: draws }, () => (one() - 0.5) * (other() - 0.5));
      // A product has a variance of 1/144.
      expect(Math.abs(mean(products))).toBeLessThan((4 * (1 / 12)) / Math.sqrt(draws));
    }
  });
});

describe('zipf', () => {
  test.for([0.305, 0.99, 1, 1.01, 1.373, 2.099, 5])('with exponent %f has the right shares', (alpha) => {
    const n = 50;
    const rank = zipf(seededRandom(3, 0), n, alpha);
    const weights = Array.from({ length: n }, (_, i) => (i + 1) ** -alpha);
    const total = weights.reduce((a, b) => a + b);
    const ranks = Array.from({ length: draws }, () => rank() - 1);
    const counts = tally(ranks, n);
    // Ranks too rare for chi-square go together.
    const expected = weights.map((weight) => (draws * weight) / total);
    const common = expected.filter((count) => count >= 20).length;
    const join = (list: number[]) => {
      const rest = list.slice(common).reduce((a, b) => a + b, 0);
      return common < n ? [...list.slice(0, common), rest] : list;
    };
    const joined = join(expected);
    expect(chiSquare(join(counts), joined)).toBeLessThan(chiSquareLimit(joined.length - 1));
  });
  test('of one rank, or of very many, stays within bounds', () => {
    const one = zipf(seededRandom(1, 0), 1, 1.2);
    expect(Array.from({ length: 100 }, one).every((rank) => rank === 1)).toBe(true);
    const many = zipf(seededRandom(1, 0), 10_000_000, 0.5);
    const ranks = Array.from({ length: draws }, many);
    expect(ranks.every((rank) => Number.isInteger(rank) && rank >= 1 && rank <= 10_000_000)).toBe(true);
    // The mean of x^-0.5 over [0, n] is n / 3.
    expect(mean(ranks) / 10_000_000).toBeCloseTo(1 / 3, 2);
  });
});

describe('sizes', () => {
  test('fixed', () => {
    expect(new Set(draw('fixed:77', 'value'))).toEqual(new Set([77]));
    expect(new Set(draw('77', 'value'))).toEqual(new Set([77]));
  });
  test('uniform: both ends, and the moments between', () => {
    const sizes = draw('uniform:10-29', 'value');
    expect([Math.min(...new Set(sizes)), Math.max(...new Set(sizes))]).toEqual([10, 29]);
    const counts = Array.from({ length: 20 }, (_, i) => sizes.filter((size) => size === 10 + i).length);
    expect(
      chiSquare(
        counts,
        counts.map(() => draws / 20),
      ),
    ).toBeLessThan(chiSquareLimit(19));
  });
  test('normal', () => {
    const sizes = draw('normal:1000,200', 'value');
    expect(Math.abs(mean(sizes) - 1000)).toBeLessThan((4 * 200) / Math.sqrt(draws));
    expect(standardDeviation(sizes)).toBeCloseTo(200, -0.5);
    const within = sizes.filter((size) => Math.abs(size - 1000) <= 200).length;
    expect(within / draws).toBeCloseTo(0.6827, 2);
  });
  test('fb-etc keys: mean 36.2 bytes, within 1 and 250', () => {
    const sizes = draw('fb-etc', 'key', [1, 250]);
    expect(mean(sizes)).toBeGreaterThan(35.9);
    expect(mean(sizes)).toBeLessThan(36.5);
    expect(sizes.every((size) => size >= 1 && size <= 250)).toBe(true);
  });
  test('fb-etc values: the table up to 14 bytes, a Pareto tail, mean 194.4 bytes', () => {
    const sizes = draw('fb-etc', 'value');
    const share = (size: number) => sizes.filter((s) => s === size).length / draws;
    expect(share(2)).toBeCloseTo(0.1782, 2);
    expect(share(3)).toBeCloseTo(0.09239, 2);
    expect(share(11)).toBeCloseTo(0.08989, 2);
    expect(sizes.filter((size) => size < 15).length / draws).toBeCloseTo(0.44155, 2);
    // The tail's variance is large, so that the mean needs room.
    expect(mean(sizes)).toBeGreaterThan(188);
    expect(mean(sizes)).toBeLessThan(201);
  });
  test('fb-usr: 20 byte keys, 2 byte values', () => {
    expect(new Set(draw('fb-usr', 'key'))).toEqual(new Set([20]));
    expect(new Set(draw('fb-usr', 'value'))).toEqual(new Set([2]));
  });
});

describe('a plan', () => {
  const given = {
    ...{ server: '127.0.0.1:1', concurrency: '4', requestsPerConnection: 'unlimited', close: 'rst' },
    ...{
      pipeline: '1',
      arrival: 'poisson',
      engine: 'auto',
      batch: '32',
      timeout: '1',
      seed: '9',
      verify: true,
    },
    ...{ getSet: '9:1', keySize: 'fixed:64', valueSize: 'fb-etc', keys: '5000', popularity: 'uniform' },
    ...{ multiget: '1', protocol: 'ascii', prefill: true, threads: '2' },
  };
  const keysOf = ({ keys, keyOffsets }: ReturnType<typeof makePlan>) =>
    Array.from({ length: keyOffsets.length - 1 }, (_, i) =>
      Buffer.from(keys.subarray(keyOffsets[i], keyOffsets[i + 1])).toString('latin1'),
    );
  test.for(['1', 'fixed:3', 'fixed:250', 'uniform:1-8', 'fb-etc'])(
    'has no key twice with --key-size %s',
    async (keySize) => {
      const names = keysOf(makePlan(await memcachedOptions({ ...given, keySize })));
      expect(new Set(names).size).toBe(5000);
      expect(names.every((name) => /^[0-9a-z-]{1,250}$/.test(name))).toBe(true);
    },
  );
  test('sends gets and sets in their ratio, and all keys alike', async () => {
    const { sequences } = makePlan(await memcachedOptions({ ...given, getSet: '30:1' }));
    const sets = sequences.filter((step) => step >>> 30 === 1).length;
    const share = 1 / 31;
    expect(Math.abs(sets / sequences.length - share)).toBeLessThan(
      4 * Math.sqrt((share * (1 - share)) / sequences.length),
    );
    const items = sequences.map((step) => step & 0x3fffffff);
    const counts = tally(items, 5000);
    expect(
      chiSquare(
        counts,
        counts.map(() => sequences.length / 5000),
      ),
    ).toBeLessThan(chiSquareLimit(4999));
  });
  test('with zipf makes some keys popular, which are not the first ones', async () => {
    const { sequences } = makePlan(await memcachedOptions({ ...given, popularity: 'zipf:1' }));
    const items = sequences.map((step) => step & 0x3fffffff);
    const counts = tally(items, 5000);
    const times = Math.max(...counts);
    const most = counts.indexOf(times);
    const harmonic = Array.from({ length: 5000 }, (_, i) => 1 / (i + 1)).reduce((a, b) => a + b);
    expect(times / sequences.length).toBeCloseTo(1 / harmonic, 2);
    expect(most).not.toBe(0);
  });
  test('with poisson arrivals has exponential gaps of the right mean', async () => {
    const { gapsNs } = makePlan(await memcachedOptions({ ...given, rate: '1000' }));
    const gaps = [...gapsNs];
    // Two threads at 500 a second each.
    expect(mean(gaps) / 2e6).toBeCloseTo(1, 1);
    expect(standardDeviation(gaps) / 2e6).toBeCloseTo(1, 1);
  });

  test('with poisson arrivals gives each thread a series of its own, of exactly the mean', async () => {
    for (const seed of ['1', '2', '3']) {
      const { gapsNs } = makePlan(await memcachedOptions({ ...given, seed, rate: '1000' }));
      const [first, second] = [gapsNs.slice(0, gapsNs.length / 2), gapsNs.slice(gapsNs.length / 2)];
      expect(first).not.toEqual(second);
      for (const series of [first, second]) expect(mean([...series]) / 2e6).toBeCloseTo(1, 9);
    }
  });
});
