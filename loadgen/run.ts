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
  /** When to take a snapshot more, from the window's begin, in milliseconds. */
  marksMs?: number[];
  /** Ends the run early, as Ctrl-C does. */
  signal?: AbortSignal;
};

export type Outcome = {
  last: Snapshot;
  /** Taken at the observer's marks; fewer where the window ended before. */
  marks: Snapshot[];
  beganAtMs: number;
  endedAtMs: number;
};

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

/** Looks at a run at its intervals and marks, for the observer. */
function startLooking(observer: Observer) {
  const marks: Snapshot[] = [];
  let before: Snapshot | undefined;
  let timers: NodeJS.Timeout[] = [];
  const look = (now: Snapshot) => {
    const service = histogramOf(since(now.service, before?.service));
    observer.interval?.(intervalBetween(before, now, service), now.phase, service);
    before = now;
  };
  const stop = () => {
    for (const timer of timers) clearTimeout(timer);
    timers = [];
  };
  const everyInterval = (run: StartedRun) => {
    stop();
    timers.push(setInterval(() => look(run.snapshot()), observer.intervalMs ?? 1000));
  };
  return {
    marks,
    look,
    stop,
    warmUp: everyInterval,
    begin(run: StartedRun) {
      before = undefined;
      everyInterval(run);
      for (const atMs of observer.marksMs ?? [])
        timers.push(setTimeout(() => marks.push(run.snapshot()), atMs));
    },
  };
}

/** Carry the plan out. Resolves when every thread has ended; throws where it can't start. */
export async function runPlan(plan: Plan, observer: Observer = {}): Promise<Outcome> {
  const { Run } = loadEngine();
  const times = { begun: 0, ended: 0, finished: 0 };
  const looking = startLooking(observer);
  const listening = new AbortController();
  const last = await new Promise<Snapshot>((resolve) => {
    const run = new Run(plan, (notice) => {
      times[notice] = Date.now();
      observer.notice?.(notice, { monotonicNs: Number(process.hrtime.bigint()), wallMs: times[notice] });
      if (notice === 'begun') looking.begin(run);
      else looking.stop();
      if (notice !== 'finished') return;
      listening.abort();
      resolve(run.finish());
    });
    looking.warmUp(run);
    observer.signal?.addEventListener('abort', () => run.stop(), listening);
    if (observer.signal?.aborted) run.stop();
  });
  if (last.endNs > 0) looking.look(last);
  return { last, marks: looking.marks, beganAtMs: times.begun, endedAtMs: times.ended };
}
