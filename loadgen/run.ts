import type { Histogram } from 'hdr-histogram-js';
import {
  type Counters,
  loadEngine,
  type Notice,
  type Plan,
  type Snapshot,
  type Run as StartedRun,
} from './engine.js';
import { histogramOf, type LatencyUs, latencyUs, since } from './latency.js';

/** One step of the measuring window. */
export type Interval = {
  /** From the window's start to this interval's end. */
  atS: number;
  lengthS: number;
  requests: number;
  rps: number;
  errors: number;
  connectionsOpen: number;
  latencyUs: LatencyUs | undefined;
};

export type Observer = {
  /** The window has begun or ended, or everything is over. */
  notice?: (notice: Notice, at: { monotonicNs: number; wallMs: number }) => void;
  /** Called every intervalMs, in warm-up and window; the histogram is of the interval's service latencies. */
  interval?: (interval: Interval, phase: Snapshot['phase'], service: Histogram) => void;
  intervalMs?: number;
  /** Ends the run early, as Ctrl-C does. */
  signal?: AbortSignal;
};

export type Outcome = { last: Snapshot; beganAtMs: number; endedAtMs: number };

export const answeredOf = (counters: Counters) => counters.answered.reduce((a, b) => a + b, 0);
export const errorsOf = (counters: Counters) => Object.values(counters.errors).reduce((a, b) => a + b, 0);

function intervalBetween(before: Snapshot | undefined, now: Snapshot, service: Histogram): Interval {
  const phase = now.phase === 'warmup' ? now.warmup : now.measuring;
  const earlier = before && (now.phase === 'warmup' ? before.warmup : before.measuring);
  const began = before ? before.nowNs : Math.min(now.beginNs, now.nowNs);
  const ended = now.endNs || now.nowNs;
  const lengthS = Math.max(0, ended - began) / 1e9;
  const requests = answeredOf(phase) - (earlier ? answeredOf(earlier) : 0);
  return {
    atS: (ended - now.beginNs) / 1e9,
    lengthS,
    requests,
    rps: lengthS > 0 ? requests / lengthS : 0,
    errors: errorsOf(phase) - (earlier ? errorsOf(earlier) : 0),
    connectionsOpen: now.open,
    latencyUs: latencyUs(service),
  };
}

/** Carry the plan out. Resolves when every thread has ended; throws where it can't start. */
export async function runPlan(plan: Plan, observer: Observer = {}): Promise<Outcome> {
  const { Run } = loadEngine();
  const times = { begun: 0, ended: 0, finished: 0 };
  let before: Snapshot | undefined;
  let timer: NodeJS.Timeout | undefined;
  const listening = new AbortController();
  const look = (now: Snapshot) => {
    const service = histogramOf(since(now.service, before?.service));
    observer.interval?.(intervalBetween(before, now, service), now.phase, service);
    before = now;
  };
  const everyInterval = (run: StartedRun) => {
    clearInterval(timer);
    timer = setInterval(() => look(run.snapshot()), observer.intervalMs ?? 1000);
  };
  const last = await new Promise<Snapshot>((resolve) => {
    const run = new Run(plan, (notice) => {
      times[notice] = Date.now();
      observer.notice?.(notice, { monotonicNs: Number(process.hrtime.bigint()), wallMs: times[notice] });
      if (notice === 'begun') before = undefined;
      if (notice === 'begun') everyInterval(run);
      if (notice === 'ended') clearInterval(timer);
      if (notice === 'finished') listening.abort();
      if (notice === 'finished') resolve(run.finish());
    });
    everyInterval(run);
    observer.signal?.addEventListener('abort', () => run.stop(), listening);
    if (observer.signal?.aborted) run.stop();
  });
  clearInterval(timer);
  if (last.endNs > 0) look(last);
  return { last, beganAtMs: times.begun, endedAtMs: times.ended };
}
