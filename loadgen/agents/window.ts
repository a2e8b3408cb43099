import type { CommonResult } from '../result.js';
import type { Part } from './parts.js';

/** A part's window by the conductor's clock; undefined: it has no result. */
export function windowOf({ result, clock }: Part): { beganMs: number; endedMs: number } | undefined {
  if (!result) return undefined;
  const { beganWallMs, endedWallMs } = result;
  return { beganMs: beganWallMs - clock.offsetMs, endedMs: endedWallMs - clock.offsetMs };
}

/** From when the first agent began to when the last one ended. */
export function commonWindow(parts: Part[]): CommonResult['window'] {
  const windows = parts.flatMap((part) => windowOf(part) ?? []);
  const beganMs = Math.min(...windows.map((window) => window.beganMs));
  const endedMs = Math.max(...windows.map((window) => window.endedMs));
  const [now, nowMs] = [Number(process.hrtime.bigint()), Date.now()];
  const instant = (atMs: number) => ({
    monotonicNs: Math.round(now - (nowMs - atMs) * 1e6),
    wall: new Date(atMs).toISOString(),
  });
  return { start: instant(beganMs), end: instant(endedMs), seconds: (endedMs - beganMs) / 1000 };
}
