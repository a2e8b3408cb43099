import { z } from 'zod';
import type { Counters, Snapshot } from './engine.js';
import { count } from './error-counts.js';
import { addUp, mergeResults, type Together, wholeOf } from './merge.js';
import type { MemcachedOptions } from './options.js';
import {
  commonResult,
  commonResultOf,
  commonTraffic,
  commonTrafficOf,
  type Given,
  latencies,
  requestLatencies,
} from './result.js';
import { answeredOf, type Interval, type Outcome } from './run.js';

const requests = z.object({
  /** Answered, whatever the answer was. */
  total: count,
  get: count,
  set: count,
  /** Keys asked for: with --multiget more than gets. */
  keys: count,
  hits: count,
  misses: count,
  /** Values that were compared, and right. */
  verified: count,
  /** Sent, but never answered. */
  failed: count,
});

const traffic = z.object({ requests, ...commonTraffic });

/** What `megapipe load memcached --json` prints. */
export const loadResultSchema = z.object({
  ...commonResult,
  ...traffic.shape,
  ...requestLatencies,
  /** Everything that was done to the server from start to end: prefill, warm-up, window and the rest. */
  whole: traffic,
});

export type LoadResult = z.infer<typeof loadResultSchema>;
type Traffic = z.infer<typeof traffic>;

function trafficOf(c: Counters): Traffic {
  const [get = 0, set = 0] = c.answered;
  return {
    requests: {
      total: answeredOf(c),
      get,
      set,
      keys: c.items.reduce((a, b) => a + b, 0),
      hits: c.hits,
      misses: c.misses,
      verified: c.verified,
      failed: c.failed,
    },
    ...commonTrafficOf(c),
  };
}

/** All that a run did to a server, whatever its phase. */
export const memcachedWhole = (snapshot: Snapshot) => wholeOf(snapshot, trafficOf);

/** Everything that is known of a run on memcached, as --json prints it. */
export function loadResult(
  options: MemcachedOptions,
  given: Given,
  outcome: Outcome,
  series: Interval[],
  prefill: Traffic | undefined,
): Omit<LoadResult, 'interrupted'> {
  const { last } = outcome;
  const whole = memcachedWhole(last);
  return {
    ...commonResultOf(options, { protocol: 'memcached', ...given }, outcome, series),
    ...trafficOf(last.measuring),
    ...latencies(last, options.rate !== undefined),
    whole: prefill ? addUp([prefill, whole]) : whole,
  };
}

/** Results of several machines as one. */
export function mergeLoadResults(parts: LoadResult[], together: Together): LoadResult {
  return mergeResults(parts, together, (part) => traffic.parse(part));
}
