import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { z } from 'zod';
import type { Counters } from './engine.js';
import { count } from './error-counts.js';
import type { HttpOptions } from './http-options.js';
import { histogramOf, latencySchema, latencyUs } from './latency.js';
import { mergeResults, type Together, wholeOf } from './merge.js';
import {
  commonResult,
  commonResultOf,
  commonTraffic,
  commonTrafficOf,
  type Given,
  latencies,
  plainRequests,
  plainRequestsOf,
} from './result.js';
import type { Interval, Outcome } from './run.js';

const traffic = z.object({
  requests: plainRequests,
  /** Answers by their status; 1xx before an answer are not counted. */
  statuses: z.record(z.string(), count),
  /** Bytes of bodies among bytesReceived, without chunks' frames. */
  bodyBytes: count,
  ...commonTraffic,
});

/** What `megapipe load http --json` prints. Numbers are of the measuring window where nothing else is said. */
export const httpResultSchema = z.object({
  ...commonResult,
  ...traffic.shape,
  /** Thousands of bytes received a second, all of them and bodies alone. */
  throughputKBps: z.number(),
  bodyKBps: z.number(),
  latencyUs: z.object({
    /** From sending a request to its whole answer. */
    service: latencySchema,
    /** From the time it was due (open loop). */
    corrected: latencySchema,
    /** From sending a request to the first byte of its answer. */
    firstByte: latencySchema,
    /** From asking for a connection to having it. */
    connect: latencySchema,
  }),
  /** Of nanoseconds; HdrHistogram V2, compressed, base64. */
  histogram: z.object({
    service: z.string(),
    corrected: z.string(),
    firstByte: z.string(),
    connect: z.string(),
  }),
  /** Everything that was done to the server from start to end: warm-up, window and the rest. */
  whole: traffic,
});

export type HttpResult = z.infer<typeof httpResultSchema>;
type Traffic = z.infer<typeof traffic>;

const firstStatus = 100;

function statusesOf(counts: Float64Array): Record<string, number> {
  const some = [...counts.entries()].filter(([, n]) => n > 0);
  return Object.fromEntries(some.map(([i, n]) => [String(i + firstStatus), n]));
}

function trafficOf(c: Counters): Traffic {
  return {
    requests: plainRequestsOf(c),
    statuses: statusesOf(c.statuses),
    bodyBytes: c.bodyBytes,
    ...commonTrafficOf(c),
  };
}

/** In thousands of bytes. */
const perSecond = (bytes: number, seconds: number) => (seconds > 0 ? bytes / 1000 / seconds : 0);

/** Everything that is known of a run on HTTP, as --json prints it. */
export function httpResult(
  options: HttpOptions,
  given: Given,
  outcome: Outcome,
  series: Interval[],
): Omit<HttpResult, 'interrupted'> {
  const { last } = outcome;
  const common = commonResultOf(options, { protocol: 'http', ...given }, outcome, series);
  const { seconds } = common.window;
  const { latencyUs: latency, histogram } = latencies(last, options.rate !== undefined);
  const [firstByte, connect] = [histogramOf(last.firstByte), histogramOf(last.connect)];
  return {
    ...common,
    ...trafficOf(last.measuring),
    throughputKBps: perSecond(last.measuring.bytesReceived, seconds),
    bodyKBps: perSecond(last.measuring.bodyBytes, seconds),
    latencyUs: {
      ...latency,
      firstByte: latencyUs(firstByte),
      connect: latencyUs(connect),
    },
    histogram: {
      ...histogram,
      firstByte: encodeIntoCompressedBase64(firstByte),
      connect: encodeIntoCompressedBase64(connect),
    },
    whole: wholeOf(last, trafficOf),
  };
}

/** Results of several machines as one. */
export function mergeHttpResults(parts: HttpResult[], together: Together): HttpResult {
  const merged = mergeResults(parts, together, (part) => traffic.parse(part));
  const { seconds } = together.window;
  return {
    ...merged,
    throughputKBps: perSecond(merged.bytesReceived, seconds),
    bodyKBps: perSecond(merged.bodyBytes, seconds),
  };
}
