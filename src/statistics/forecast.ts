import { halfWidth, type Moments } from './confidence-sequence.js';

/** Beyond this nobody waits, and the forecast says just that. */
const farthest = 10_000;

/**
 * About how many further pairs decide a comparison, if their average and spread stay what they are: until the interval
 * excludes 1, or fits within the margin.
 *
 * @returns undefined where two pairs are not there yet, infinity where thousands would not do
 */
export function roundsUntil(
  moments: Moments,
  levels: { difference: number; sameness: number },
  margin: number,
): number | undefined {
  const { pairs, mean, sumOfSquares } = moments;
  if (pairs < 2) return undefined;
  const distance = Math.abs(mean);
  const decided = (then: Moments) =>
    distance > halfWidth(then, levels.difference) || distance + halfWidth(then, levels.sameness) < margin;
  const after = (more: number) => ({
    pairs: pairs + more,
    mean,
    sumOfSquares: (sumOfSquares * (pairs + more - 1)) / (pairs - 1),
  });
  if (!decided(after(farthest))) return Number.POSITIVE_INFINITY;
  // What is decided with some pairs is so with more: halve the range that the answer is in.
  let [tooFew, enough] = [0, farthest];
  while (enough - tooFew > 1) {
    const middle = Math.floor((tooFew + enough) / 2);
    if (decided(after(middle))) enough = middle;
    else tooFew = middle;
  }
  return enough;
}
