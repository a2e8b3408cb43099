import { z } from 'zod';
import type { EchoOptions } from './echo-options.js';
import type { Counters, Snapshot } from './engine.js';
import { addUp, mergeCommon, mergeLatencies, type Together } from './merge.js';
import {
  commonResult,
  commonResultOf,
  commonTraffic,
  count,
  type Given,
  latencies,
  latency,
} from './result.js';
import { answeredOf, type Interval, type Outcome } from './run.js';

const traffic = z.object({
  requests: z.object({
    /** Messages that came back, whatever was in them. */
    total: count,
    /** Those that were compared with what had been sent, and the same. */
    verified: count,
    /** Sent, and never back. */
    failed: count,
  }),
  ...commonTraffic,
});

/** What `megapipe load echo --json` prints. Numbers are of the measuring window where nothing else is said. */
export const echoResultSchema = z.object({
  ...commonResult,
  ...traffic.shape,
  latencyUs: z.object({ service: latency, corrected: latency }),
  /** Of nanoseconds; HdrHistogram V2, compressed, base64. */
  histogram: z.object({ service: z.string(), corrected: z.string() }),
  /** Everything that was done to the server from start to end: warm-up, window and the rest. */
  whole: traffic,
});

export type EchoResult = z.infer<typeof echoResultSchema>;
type Traffic = z.infer<typeof traffic>;

function trafficOf(c: Counters): Traffic {
  return {
    requests: { total: answeredOf(c), verified: c.verified, failed: c.failed },
    connections: c.connections,
    bytesSent: c.bytesSent,
    bytesReceived: c.bytesReceived,
    errors: { ...c.errors },
  };
}

function wholeOf({ warmup, measuring, draining }: Snapshot): Traffic {
  return addUp([warmup, measuring, draining].map(trafficOf));
}

/** Everything that is known of a run, as --json prints it. */
export function echoResult(
  options: EchoOptions,
  given: Given,
  outcome: Outcome,
  series: Interval[],
): Omit<EchoResult, 'interrupted'> {
  const { last } = outcome;
  return {
    ...commonResultOf(options, { protocol: 'echo', ...given }, outcome, series),
    ...trafficOf(last.measuring),
    ...latencies(last, options.rate !== undefined),
    whole: wholeOf(last),
  };
}

/** Results of several machines as one. */
export function mergeEchoResults(parts: EchoResult[], together: Together): EchoResult {
  return {
    ...mergeCommon(parts, together),
    ...addUp(parts.map((part) => traffic.parse(part))),
    ...mergeLatencies(parts),
    whole: addUp(parts.map(({ whole }) => whole)),
  };
}
