import { z } from 'zod';
import type { EchoOptions } from './echo-options.js';
import type { Counters } from './engine.js';
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
  requestLatencies,
} from './result.js';
import type { Interval, Outcome } from './run.js';

/** Requests are messages; a verified one came back as it had been sent. */
const traffic = z.object({ requests: plainRequests, ...commonTraffic });

/** What `megapipe load echo --json` prints. Numbers are of the measuring window where nothing else is said. */
export const echoResultSchema = z.object({
  ...commonResult,
  ...traffic.shape,
  ...requestLatencies,
  /** Everything that was done to the server from start to end: warm-up, window and the rest. */
  whole: traffic,
});

export type EchoResult = z.infer<typeof echoResultSchema>;

function trafficOf(c: Counters): z.infer<typeof traffic> {
  return { requests: plainRequestsOf(c), ...commonTrafficOf(c) };
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
    whole: wholeOf(last, trafficOf),
  };
}

/** Results of several machines as one. */
export function mergeEchoResults(parts: EchoResult[], together: Together): EchoResult {
  return mergeResults(parts, together, (part) => traffic.parse(part));
}
