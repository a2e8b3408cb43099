// Of a median whose interval is of order statistics: techniques, speed-ups, and two runs side by side.

import type { Estimate } from './statistics.js';

/** Where a ratio stands to 1: undecided where its interval holds 1, unknown where the samples are too few to tell. */
export type Verdict = 'above' | 'below' | 'undecided' | 'unknown';

/** Five samples give 94 %; with four (88 %) nothing is called a difference. */
export const decisiveCoverage = 0.9;

export function verdictOf({ low, high, coverage }: Estimate): Verdict {
  if (coverage < decisiveCoverage) return 'unknown';
  if (low > 1) return 'above';
  return high < 1 ? 'below' : 'undecided';
}
