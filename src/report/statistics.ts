import { binomialDistribution, median } from 'simple-statistics';

/** A median with an interval for the median of what was sampled. */
export type Estimate = {
  median: number;
  low: number;
  high: number;
  /** How likely such an interval holds the true median, whatever the distribution: 0 to 1. */
  coverage: number;
  samples: number;
};

const wantedCoverage = 0.95;

/**
 * The interval from order statistics: the k-th smallest to the k-th largest holds the true median unless fewer than k
 * samples fall on one side of it, which is a matter of coin tosses. Takes the narrowest such interval of at least 95 %;
 * where the samples are too few for any, the whole range, with the coverage that it has.
 */
export function estimate(values: readonly number[]): Estimate | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const k = narrowestRank(sorted.length);
  return {
    median: median([...sorted]),
    low: sorted[k - 1] as number,
    high: sorted[sorted.length - k] as number,
    coverage: coverageOf(sorted.length, k),
    samples: sorted.length,
  };
}

function narrowestRank(samples: number): number {
  const ranks = Array.from({ length: Math.ceil(samples / 2) }, (_, index) => index + 1);
  return ranks.findLast((rank) => coverageOf(samples, rank) >= wantedCoverage) ?? 1;
}

/** 1 minus twice the chance that fewer than `rank` of the tosses come up heads. */
function coverageOf(samples: number, rank: number): number {
  const tosses = binomialDistribution(samples, 0.5) ?? [];
  const tail = tosses.slice(0, rank).reduce((sum, chance) => sum + chance, 0);
  return Math.max(0, 1 - 2 * tail);
}
