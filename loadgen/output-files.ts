import { closeSync, openSync, writeFileSync } from 'node:fs';
import { stringify } from 'csv-stringify/sync';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { UserError } from '../src/base/errors.js';
import type { CommonResult, Counted, Given } from './result.js';

type Result = CommonResult & Counted;

const seriesColumns = [
  'at_s',
  'length_s',
  'requests',
  'requests_per_s',
  'errors',
  'connections',
  ...['p50', 'p90', 'p99', 'p999', 'max', 'mean'].map((name) => `${name}_us`),
];

/** A line an interval; latencies are missing where there was none. */
function seriesCsv({ series }: Result): string {
  const rows = series.map(({ atS, lengthS, requests, rps, errors, connectionsOpen, latencyUs }) => {
    const { p50, p90, p99, p999, max, mean } = latencyUs ?? {};
    return [atS, lengthS, requests, rps, errors, connectionsOpen, p50, p90, p99, p999, max, mean];
  });
  return stringify([seriesColumns, ...rows]);
}

const nsOfUs = 1000;
const ticksPerHalf = 5;

/** Of the latencies from the intended times, which of a closed loop are those from sending. */
function percentiles({ histogram }: Result): string {
  return decodeFromCompressedBase64(histogram.corrected).outputPercentileDistribution(ticksPerHalf, nsOfUs);
}

const writers: Record<string, (result: Result) => string> = { hgrm: percentiles, csv: seriesCsv };

/** Files that are written beside what is printed, open already: a load isn't to be in vain for a wrong path. */
export type OutputFiles = { write(result: Result): void };

/** Open the files that options name. Throws a UserError where one can't be written. */
export function openOutputFiles(given: Given): OutputFiles {
  const open = Object.entries(writers).flatMap(([name, text]) => {
    const path = given[name];
    return typeof path === 'string' ? [{ file: openFile(path, name), text }] : [];
  });
  return {
    write(result) {
      for (const { file, text } of open) {
        writeFileSync(file, text(result));
        closeSync(file);
      }
    },
  };
}

function openFile(path: string, option: string): number {
  try {
    return openSync(path, 'w');
  } catch (cause) {
    throw new UserError(`--${option}: ${(cause as Error).message}`, { cause, exitCode: 2 });
  }
}
