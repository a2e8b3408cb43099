import { addHistograms, latencyUs } from '../latency.js';
import type { Interval } from '../run.js';
import type { TimedInterval } from './protocol.js';

/** What several agents did in the same interval. */
export function mergeIntervals(parts: TimedInterval[]): Interval {
  const sum = (of: (interval: TimedInterval['interval']) => number) =>
    parts.reduce((total, { interval }) => total + of(interval), 0);
  const most = (of: (interval: TimedInterval['interval']) => number) =>
    parts.reduce((largest, { interval }) => Math.max(largest, of(interval)), 0);
  return {
    atS: most(({ atS }) => atS),
    lengthS: most(({ lengthS }) => lengthS),
    requests: sum(({ requests }) => requests),
    rps: sum(({ rps }) => rps),
    errors: sum(({ errors }) => errors),
    connectionsOpen: sum(({ connectionsOpen }) => connectionsOpen),
    latencyUs: latencyUs(addHistograms(parts.map(({ histogram }) => histogram))),
  };
}

/** The series of the windows of several agents: the first intervals of all together, the second ones, and so on. */
export function mergeSeries(parts: TimedInterval[][]): Interval[] {
  const windows = parts.map((intervals) => intervals.filter(({ phase }) => phase !== 'warmup'));
  const longest = windows.reduce((most, { length }) => Math.max(most, length), 0);
  return Array.from({ length: longest }, (_, i) =>
    mergeIntervals(windows.flatMap((intervals) => intervals.slice(i, i + 1))),
  );
}
