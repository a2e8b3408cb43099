import { inflateSync } from 'node:zlib';
import { build, decodeFromCompressedBase64, type Histogram } from 'hdr-histogram-js';
import { z } from 'zod';

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

/** Percentiles in microseconds; missing where nothing was measured. */
export const latencySchema = z
  .object({
    p50: z.number(),
    p90: z.number(),
    p99: z.number(),
    p999: z.number(),
    max: z.number(),
    mean: z.number(),
  })
  .optional();

export type LatencyUs = NonNullable<z.infer<typeof latencySchema>>;

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
    // As the percentiles: the highest value that counts alike. The histogram's own maximum may be the lowest.
    max: at(100),
    mean: microseconds(histogram.mean),
  };
}

/** What has been counted since. */
export function since(counts: Float64Array, before: Float64Array | undefined): Float64Array {
  return before ? counts.map((count, i) => count - (before[i] ?? 0)) : counts;
}

/** Encoded, in bytes; the largest there can be is smaller. */
const mostEncoded = 1 << 19;
const mostDecoded = 1 << 20;
/** Of what is compressed: cookie, length of what follows. Then cookie, length, offset, digits, lowest, highest, ratio. */
const at = { compressed: 8, digits: 12, lowest: 16, highest: 24, end: 40 };

/** Is it an encoded histogram of the native engine's layout? Others could be of any size once decoded. */
export function isEncodedHistogram(text: string): boolean {
  if (text.length > mostEncoded || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return false;
  try {
    const compressed = Buffer.from(text, 'base64').subarray(at.compressed);
    const header = inflateSync(compressed, { maxOutputLength: mostDecoded });
    if (header.length < at.end || header.readUInt32BE(at.digits) !== digits) return false;
    if (header.readBigUInt64BE(at.lowest) !== BigInt(lowestNs)) return false;
    if (header.readBigUInt64BE(at.highest) !== BigInt(highestNs)) return false;
    const { totalCount, maxValue } = decodeFromCompressedBase64(text);
    return Number.isSafeInteger(totalCount) && maxValue <= 2 * highestNs;
  } catch {
    return false;
  }
}

/** Encoded histograms (V2, compressed, base64), added up. */
export function addHistograms(encoded: string[]): Histogram {
  const sum = emptyHistogram();
  for (const one of encoded) sum.add(decodeFromCompressedBase64(one));
  return sum;
}
