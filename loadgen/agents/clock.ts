import { UserError } from '../../src/base/errors.js';

/** For tests: by how much this process's clock is wrong. */
const skewMs = Number(process.env.MEGAPIPE_AGENT_SKEW_MS ?? 0);

/** What time it is here. */
export const wallMs = () => Date.now() + skewMs;

/** An agent's wall clock less ours, and by how much that may be wrong. */
export type ClockReading = { offsetMs: number; uncertaintyMs: number };

/** Clocks are read in whole milliseconds. */
const resolutionMs = 1;
const leastTrips = 8;
const mostTrips = 40;

/** No more of it can be an accident, and no correction makes such a machine's logs and certificates right. */
const largestOffsetMs = 60_000;

/** The reading of one round trip: the agent's clock was read somewhere between. */
async function oneTrip(askWallMs: () => Promise<number>): Promise<ClockReading> {
  const sent = process.hrtime.bigint();
  const sentMs = Date.now();
  const theirs = await askWallMs();
  const tripMs = Number(process.hrtime.bigint() - sent) / 1e6;
  return { offsetMs: theirs - (sentMs + tripMs / 2), uncertaintyMs: tripMs / 2 + resolutionMs };
}

/** Compare clocks in several round trips; the shortest one tells most. */
export async function readClock(askWallMs: () => Promise<number>, boundMs: number): Promise<ClockReading> {
  let best = await oneTrip(askWallMs);
  for (let trip = 1; trip < mostTrips; trip++) {
    if (trip >= leastTrips && best.uncertaintyMs <= boundMs) break;
    const next = await oneTrip(askWallMs);
    if (next.uncertaintyMs < best.uncertaintyMs) best = next;
  }
  return best;
}

const clockHint = 'let both machines keep their clocks by NTP (chrony or systemd-timesyncd)';

/** Refuse a clock that can't be relied on. */
export function checkClock(name: string, { offsetMs, uncertaintyMs }: ClockReading, boundMs: number): void {
  if (uncertaintyMs > boundMs) {
    throw new UserError(
      `the clock of agent ${name} can only be told to ${uncertaintyMs.toFixed(0)} ms, and ${boundMs} are allowed`,
      { hint: 'the network, or a machine, is too slow or too busy; --clock-bound allows more' },
    );
  }
  if (Math.abs(offsetMs) <= largestOffsetMs) return;
  const seconds = (Math.abs(offsetMs) / 1000).toFixed(0);
  const how = offsetMs > 0 ? 'fast' : 'slow';
  throw new UserError(`the clock of agent ${name} is ${seconds} s ${how}`, { hint: clockHint });
}

/** Apart from what both readings may be wrong by, so much is a step; plus a thousandth, which clocks may drift by. */
const stepMs = 100;

/** Refuse a clock that was set between two readings. */
export function checkSteady(name: string, before: ClockReading, now: ClockReading, betweenMs: number): void {
  const changeMs = now.offsetMs - before.offsetMs;
  const allowedMs = before.uncertaintyMs + now.uncertaintyMs + stepMs + betweenMs / 1000;
  if (Math.abs(changeMs) <= allowedMs) return;
  throw new UserError(
    `the clock of agent ${name}, or ours, jumped by ${changeMs.toFixed(0)} ms within ${(betweenMs / 1000).toFixed(1)} s`,
    { hint: clockHint },
  );
}
