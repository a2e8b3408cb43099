import { build, decodeFromCompressedBase64, type Histogram } from 'hdr-histogram-js';

/** The native engine's layout: 1 ns to 1 hour, three significant digits; histogram.h. */
const lowestNs = 1;
const highestNs = 3_600_000_000_000;
const digits = 3;
const halfBits = 10;

/** The lowest value that counts at this index. */
function valueAt(index: number): number {
  const bucket = Math.max(0, (index >> halfBits) - 1);
  return (index - (bucket << halfBits)) * 2 ** bucket;
}

/** With nothing in it, of the native engine's layout. */
export function emptyHistogram(): Histogram {
  return build({
    bitBucketSize: 64,
    autoResize: false,
    lowestDiscernibleValue: lowestNs,
    highestTrackableValue: highestNs,
    numberOfSignificantValueDigits: digits,
  });
}

/** Counts of the native engine as a histogram of nanoseconds. */
export function histogramOf(counts: Float64Array): Histogram {
  const histogram = emptyHistogram();
  counts.forEach((count, index) => {
    if (count > 0) histogram.recordValueWithCount(Math.min(highestNs, valueAt(index)), count);
  });
  return histogram;
}

export type LatencyUs = { p50: number; p90: number; p99: number; p999: number; max: number; mean: number };

const microseconds = (ns: number) => Math.round(ns) / 1000;

/** undefined: nothing was measured. */
export function latencyUs(histogram: Histogram): LatencyUs | undefined {
  if (histogram.totalCount === 0) return undefined;
  const at = (percentile: number) => microseconds(histogram.getValueAtPercentile(percentile));
  return {
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: microseconds(histogram.maxValue),
    mean: microseconds(histogram.mean),
  };
}

/** What has been counted since. */
export function since(counts: Float64Array, before: Float64Array | undefined): Float64Array {
  return before ? counts.map((count, i) => count - (before[i] ?? 0)) : counts;
}

/** Encoded histograms (V2, compressed, base64), added up. */
export function addHistograms(encoded: string[]): Histogram {
  const sum = emptyHistogram();
  for (const one of encoded) sum.add(decodeFromCompressedBase64(one));
  return sum;
}
