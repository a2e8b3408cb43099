import { generalizedExtremeValue, generalizedPareto, normal, type Random, uniformInteger } from './random.js';

/** A distribution of sizes in bytes, as named on the command line. */
export type Sizes =
  | { kind: 'fixed'; size: number }
  | { kind: 'uniform'; low: number; high: number }
  | { kind: 'normal'; mu: number; sigma: number }
  | { kind: 'fb-etc' }
  | { kind: 'fb-usr' };

/** Facebook's ETC pool: the shares of values of 0 to 14 bytes (Atikoglu and others, 2012). */
const etcSmallValues = [
  0.00536, 0.00047, 0.1782, 0.09239, 0.00018, 0.0274, 0.00065, 0.00606, 0.00023, 0.00837, 0.00837, 0.08989,
  0.00092, 0.00326, 0.0198,
];

const forms: [RegExp, (a: number, b: number) => Sizes | undefined][] = [
  [/^(?:fixed:)?(\d+)$/, (size) => ({ kind: 'fixed', size })],
  [/^uniform:(\d+)-(\d+)$/, (low, high) => (low <= high ? { kind: 'uniform', low, high } : undefined)],
  [/^normal:(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)$/, (mu, sigma) => ({ kind: 'normal', mu, sigma })],
  [/^fb-etc$/, () => ({ kind: 'fb-etc' })],
  [/^fb-usr$/, () => ({ kind: 'fb-usr' })],
];

/** Read fixed:N (or N), uniform:A-B, normal:MU,SIGMA, fb-etc, fb-usr; undefined: it is none of these. */
export function parseSizes(text: string): Sizes | undefined {
  for (const [form, make] of forms) {
    const match = form.exec(text);
    if (match) return make(Number(match[1]), Number(match[2]));
  }
  return undefined;
}

function etcValue(random: Random): number {
  let left = random();
  for (const [size, share] of etcSmallValues.entries()) {
    if (left < share) return size;
    left -= share;
  }
  return generalizedPareto(random, 15, 214.476, 0.348238);
}

function sampleOf(sizes: Sizes, what: 'key' | 'value', random: Random): number {
  switch (sizes.kind) {
    case 'fixed':
      return sizes.size;
    case 'uniform':
      return uniformInteger(random, sizes.low, sizes.high);
    case 'normal':
      return normal(random, sizes.mu, sizes.sigma);
    case 'fb-etc':
      return what === 'key' ? generalizedExtremeValue(random, 30.7984, 8.20449, 0.078688) : etcValue(random);
    case 'fb-usr':
      return what === 'key' ? 20 : 2;
  }
}

/** Whole sizes within [low, high], drawn by the distribution and clamped. */
export function sampler(
  sizes: Sizes,
  what: 'key' | 'value',
  random: Random,
  [low, high]: readonly [number, number],
): () => number {
  return () => Math.min(high, Math.max(low, Math.round(sampleOf(sizes, what, random))));
}
