/** Natural logarithms of ratios, one for each pair of a variant and its baseline that were measured side by side. */
export type LogRatios = readonly number[];

/** A ratio with the bounds of what it can be; `low` is 0 and `high` infinite where nothing is excluded yet. */
export type Interval = { ratio: number; low: number; high: number };

/** What the tests need to know of the pairs. */
export type Moments = { pairs: number; mean: number; sumOfSquares: number };

/**
 * The precision of the prior on the effect, in units of a pair's spread: N(0, 1/g). Of .01 to 2, simulated with spreads of
 * .02 to .13 and effects of 5 to 45 %, .1 to .2 decide soonest: 20 % at a spread of .05 after 5 pairs (median, α = .025).
 */
const priorPrecision = 0.2;

/**
 * No pair is trusted beyond half a percent: clocks and counters have a resolution, and values that agree better than that by
 * chance would make few pairs look certain. It adds to the spread and thus only takes from the evidence.
 */
const resolution = 0.005;

export function momentsOf(logRatios: LogRatios): Moments {
  const pairs = logRatios.length;
  const mean = logRatios.reduce((sum, value) => sum + value, 0) / Math.max(1, pairs);
  return { pairs, mean, sumOfSquares: logRatios.reduce((sum, value) => sum + (value - mean) ** 2, 0) };
}

/**
 * The logarithm of the evidence that the mean log ratio isn't `mean`: an e-process, of which the chance to ever reach 1/α is
 * at most α where the mean is that, however often and for whatever reason one looks or stops.
 *
 * It is the likelihood ratio of the scale-invariant t-test between an effect of N(0, 1/g) spreads and none, with the right
 * Haar prior on the spread (Lai 1976; Pérez-Ortiz, Lardy, de Heide and Grünwald 2022; Wang and Ramdas 2023):
 * √r · ((1 + u) / (1 + r·u))^(n/2) with r = g/(g+n) and u = n·(x̄ − mean)² / Σ(x − x̄)². Exact for independent normal pairs;
 * heavy tails and what both of a pair have in common cost power, not validity (test/statistics).
 */
export function logEvidence({ pairs: n, mean: average, sumOfSquares }: Moments, mean: number): number {
  if (n < 2) return 0;
  const r = priorPrecision / (priorPrecision + n);
  const u = (n * (average - mean) ** 2) / flooredSquares(n, sumOfSquares);
  return (Math.log(r) + n * (Math.log1p(u) - Math.log1p(r * u))) / 2;
}

/**
 * All means against which the evidence is below 1/α: bounds that hold the true ratio at all times together with a chance of
 * at least 1 − α.
 *
 * @returns undefined where there is no pair
 */
export function confidenceSequence(logRatios: LogRatios, alpha: number): Interval | undefined {
  const moments = momentsOf(logRatios);
  if (moments.pairs === 0) return undefined;
  const half = halfWidth(moments, alpha);
  const { mean } = moments;
  return { ratio: Math.exp(mean), low: Math.exp(mean - half), high: Math.exp(mean + half) };
}

/** How far from the average the evidence reaches 1/α; infinite where the pairs are too few for that. */
export function halfWidth({ pairs: n, sumOfSquares }: Moments, alpha: number): number {
  if (n < 2) return Number.POSITIVE_INFINITY;
  const r = priorPrecision / (priorPrecision + n);
  const k = (1 / (alpha * Math.sqrt(r))) ** (2 / n);
  if (r * k >= 1) return Number.POSITIVE_INFINITY;
  return Math.sqrt((((k - 1) / (1 - r * k)) * flooredSquares(n, sumOfSquares)) / n);
}

const flooredSquares = (pairs: number, sumOfSquares: number) => sumOfSquares + pairs * resolution ** 2;
