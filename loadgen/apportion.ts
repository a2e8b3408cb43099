import { type Random, uniformInteger } from './random.js';

/**
 * Whole counts in proportion to weights, `total` in all: the differences of the rounded cumulative shares, so that
 * even a long tail of tiny weights keeps its part.
 */
export function apportion(weights: ArrayLike<number>, total: number): Uint32Array {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += weights[i] ?? 0;
  const counts = new Uint32Array(weights.length);
  let [cumulative, given] = [0, 0];
  for (let i = 0; i < weights.length; i++) {
    cumulative += weights[i] ?? 0;
    const upTo = Math.round((total * cumulative) / sum);
    counts[i] = upTo - given;
    given = upTo;
  }
  return counts;
}

/**
 * Item i counts[i] times, each item's occurrences at even distances with a random phase: any stretch of the result
 * is much like the whole.
 */
export function spreadEvenly(counts: ArrayLike<number>, random: Random): Uint32Array {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i] ?? 0;
  const places = new Float64Array(total);
  const items = new Uint32Array(total);
  let at = 0;
  for (let i = 0; i < counts.length; i++) {
    const n = counts[i] ?? 0;
    const phase = random();
    for (let k = 0; k < n; k++) {
      // A little noise of their own keeps items of the same count from marching in step.
      places[at] = (k + (phase + random()) / 2) / n;
      items[at++] = i;
    }
  }
  return sortByPlace(places, items);
}

/** Items in the order of their places in [0, 1): buckets, then within each. Sorting a million in one go is slow. */
function sortByPlace(places: Float64Array, items: Uint32Array): Uint32Array {
  const buckets: number[][] = Array.from({ length: Math.ceil(items.length / 8) }, () => []);
  places.forEach((place, i) => {
    buckets[Math.min(buckets.length - 1, Math.floor(place * buckets.length))]?.push(i);
  });
  const sorted = new Uint32Array(items.length);
  let at = 0;
  for (const bucket of buckets) {
    bucket.sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
    for (const i of bucket) sorted[at++] = items[i] ?? 0;
  }
  return sorted;
}

/** In any order: Fisher and Yates. */
export function shuffle(list: Uint32Array, random: Random): Uint32Array {
  for (let i = list.length - 1; i > 0; i--) {
    const j = uniformInteger(random, 0, i);
    [list[i], list[j]] = [list[j] ?? 0, list[i] ?? 0];
  }
  return list;
}
