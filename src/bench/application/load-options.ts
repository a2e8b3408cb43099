import type { Load } from './application.js';

/** A request that waits for so long failed; on a busy machine some wait for long. */
const timeoutS = 30;

/** What every load generator is told of a sample. */
export function pointOptions({ threads, point, durationMs, warmupMs, seed }: Load): string[] {
  const seconds = (ms: number) => String(ms / 1000);
  return [
    ...['--threads', String(threads), '--concurrency', String(point.connections)],
    ...(point.rate === null ? [] : ['--rate', String(point.rate)]),
    ...['--duration', seconds(durationMs), '--warmup', seconds(warmupMs)],
    ...['--timeout', String(timeoutS), '--seed', String(seed)],
  ];
}
