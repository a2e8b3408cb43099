import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { execa } from 'execa';
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { histogramOf, latencyUs } from '../../loadgen/latency.js';
import { root } from '../../src/base/paths.js';

const countsLength = 33 * 1024;
const hourNs = 3_600_000_000_000;

let scratch: string;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'megapipe-histogram-'));
  const source = join(root, 'test/loadgen/histogram-index.c');
  await execa('cc', ['-I', join(root, 'loadgen/native'), '-o', join(scratch, 'index'), source]);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function emptyHistogram() {
  return build({
    bitBucketSize: 64,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: hourNs,
    numberOfSignificantValueDigits: 3,
  });
}

describe('the native histogram', () => {
  test('has HdrHistogram’s layout', async () => {
    const small = Array.from({ length: 5000 }, (_, i) => i);
    const spread = Array.from({ length: 3000 }, (_, i) => Math.floor(1.01 ** i)).filter((ns) => ns <= hourNs);
    const edges = Array.from({ length: 41 }, (_, i) => 2 ** i).flatMap((n) => [n - 1, n, n + 1]);
    const values = [...small, ...spread, ...edges, hourNs];
    const { stdout } = await execa(join(scratch, 'index'), values.map(String));
    const native = stdout.split('\n').map(Number);
    for (const [i, value] of values.entries()) {
      // As in test/turn.ts, within one long test.
      if (i % 100 === 0) await setImmediate();
      const reference = emptyHistogram();
      reference.recordValue(value);
      const counts = new Float64Array(countsLength);
      counts[native[i] ?? -1] = 1;
      // Two histograms are the same when what is recorded at one place in them is.
      expect(encodeIntoCompressedBase64(histogramOf(counts)), `${value} ns`).toBe(
        encodeIntoCompressedBase64(reference),
      );
    }
  });

  test('counts what takes longer than an hour as an hour', async () => {
    const { stdout } = await execa(join(scratch, 'index'), [String(hourNs), String(hourNs * 1000)]);
    const [hour, longer] = stdout.split('\n').map(Number);
    expect(longer).toBe(hour);
    expect(hour).toBeLessThan(countsLength);
  });

  test('gives no percentile above the maximum', () => {
    for (let index = 0; index < countsLength - 1024; index += 977) {
      const counts = new Float64Array(countsLength);
      counts[index] = 5;
      const { p50, p999, max } = latencyUs(histogramOf(counts)) ?? { p50: 0, p999: 0, max: -1 };
      expect([p50, p999], `index ${index}`).toEqual([max, max]);
    }
  });

  test('gives percentiles in microseconds, and survives encoding', () => {
    const counts = new Float64Array(countsLength);
    counts[1000] = 99;
    counts[2000] = 1;
    const histogram = histogramOf(counts);
    expect(latencyUs(histogram)).toMatchObject({ p50: 1, p90: 1, p99: 1, max: 2 });
    const decoded = decodeFromCompressedBase64(encodeIntoCompressedBase64(histogram));
    expect(decoded.totalCount).toBe(100);
    expect(decoded.getValueAtPercentile(50)).toBe(1000);
    expect(latencyUs(histogramOf(new Float64Array(countsLength)))).toBeUndefined();
  });
});
