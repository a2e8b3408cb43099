import { makeTopology, type Topology } from '../host/topology.js';
import { appendResult } from '../results/file.js';
import { type Phase, type SampleRecord, sampleKey } from '../results/schema.js';
import type { Application, Content } from './application/application.js';
import { type Family, headlineComparisons, openPoints } from './headline.js';
import { type Loaders, startLoaders } from './loaders.js';
import { leftOf, ordersLeft, ordersOfRound, type Plan, tracedOrders } from './plan.js';
import { type SampleOrder, takeSample } from './sample.js';

/** Where a run stands: told before each sample. */
export type Progress = {
  phase: Phase;
  order: SampleOrder;
  /** Samples of the whole run. */
  done: number;
  /** Undefined where a budget of time decides how many there will be. */
  all: number | undefined;
  failed: number;
  /** With a budget: at most. */
  leftMs: number;
  last: SampleRecord | undefined;
};

export type Run = {
  application: Application;
  content: Content;
  plan: Plan;
  /** Until when it may take, where it has a budget. */
  endsAt: number | undefined;
  family: Family;
  /** Whether system calls can be counted. */
  trace: boolean;
  /** Samples that were taken before; those that are taken now join them. */
  samples: SampleRecord[];
  file: string;
  signal: AbortSignal;
};

type Tell = (progress: Progress) => void;

/** Measures a run's phases one after another, and knows how long the rest will take. */
export function startRun(run: Run): {
  /** Measure a phase, where there is a budget until then. Resolves to the rounds that it had time for. */
  measure(phase: Phase, until: number | undefined, tell: Tell): Promise<number>;
} {
  const pace = startPace(run);
  const state = { failed: 0, last: undefined as SampleRecord | undefined };
  const takeAll = async (orders: SampleOrder[], in_: InPhase) => {
    for (const order of leftOf(orders, in_.phase, new Set(run.samples.map(sampleKey)))) {
      run.signal.throwIfAborted();
      in_.tell({ phase: in_.phase, order, ...pace.stand(), ...state });
      state.last = await takeUndisturbed(order, run, in_);
      if (state.last.status === 'failed') state.failed++;
      pace.took(order);
    }
  };
  const measure = (phase: Phase, until: number | undefined, tell: Tell) =>
    withTopology(phase, run.signal, async (place) => {
      const in_ = { phase, until, place, tell };
      let round = firstRoundLeft(phase, run);
      while (round < phase.samples) {
        const orders = nextRound(round, run, in_);
        if (orders.length === 0 || isOver(round, phase, until, pace.expectedMs(orders))) break;
        await takeAll(orders, in_);
        round++;
      }
      if (run.trace && round > 0) await takeAll(untraced(tracedOrders(phase, run.plan), run), in_);
      return round;
    });
  return { measure };
}

/** With a budget each variant is traced in one phase: no time is spent twice on the same. */
function untraced(orders: SampleOrder[], { samples, endsAt }: Run): SampleOrder[] {
  if (endsAt === undefined) return orders;
  const traced = new Set(samples.flatMap(({ kind, variant }) => (kind === 'traced' ? [variant.id] : [])));
  return orders.filter(({ variant }) => !traced.has(variant.id));
}

/** A phase in hand. */
type InPhase = { phase: Phase; until: number | undefined; place: Place; tell: Tell };

/** So many pairs at least are measured of each headline comparison, whatever the time: below, hardly anything is decided. */
const leastRounds = 5;

/** A round is taken whole or not at all. */
function isOver(round: number, { headline }: Phase, until: number | undefined, roundMs: number): boolean {
  if (until === undefined || (headline && round < leastRounds)) return false;
  return Date.now() + roundMs > until;
}

/** All points; where there is a budget those that are still open, and nothing once all are decided. */
function nextRound(round: number, run: Run, { phase, until, place }: InPhase): SampleOrder[] {
  const all = ordersOfRound(phase, run.plan, round, phase.points);
  if (until === undefined || !phase.headline) return all;
  const { name } = run.application;
  run.family.learn(name, headlineComparisons(name, phase, place.topology.record, counting(run.samples)));
  if (round < leastRounds) return all;
  return ordersOfRound(phase, run.plan, round, openPoints(name, phase, run.family.decided()));
}

/** Of each sample's attempts the last one counts. */
const counting = (samples: SampleRecord[]) => [
  ...new Map(samples.map((sample) => [sampleKey(sample), sample])).values(),
];

/** Without a budget what is missing is looked for in all rounds; else in the last that was begun, since not all have all points. */
function firstRoundLeft({ firstRound, samples: rounds }: Phase, { plan, samples }: Run): number {
  if (plan.budgetMs === null) return 0;
  const begun = samples
    .map(({ round }) => round - firstRound)
    .filter((round) => round >= 0 && round < rounds);
  return Math.max(0, ...begun);
}

/** A sample that others disturb is taken so often at most; once where time is better spent on what is still unmeasured. */
const mostAttempts = 3;
const attemptsOf = ({ phase, until }: InPhase) =>
  until !== undefined && phase.headline === null ? 1 : mostAttempts;

/** Take a sample; again, where others had too much of the CPUs. Every attempt is on record. */
async function takeUndisturbed(order: SampleOrder, run: Run, in_: InPhase): Promise<SampleRecord> {
  const { place, until = Number.POSITIVE_INFINITY } = in_;
  for (let attempt = 1; ; attempt++) {
    run.signal.throwIfAborted();
    const sample = await takeSample({ ...order, attempt }, { ...run, ...place });
    appendResult(run.file, sample);
    run.samples.push(sample);
    const disturbed = sample.status === 'ok' && sample.kind === 'timed' && sample.disturbed;
    if (!disturbed || attempt === attemptsOf(in_) || Date.now() > until) return sample;
  }
}

type Place = { topology: Topology; loaders: Loaders };

async function withTopology<T>(
  phase: Phase,
  signal: AbortSignal,
  work: (place: Place) => Promise<T>,
): Promise<T> {
  const topology = await makeTopology(phase.topology);
  try {
    const loaders = await startLoaders(topology, signal);
    try {
      return await work({ topology, loaders });
    } finally {
      await loaders.stop();
    }
  } finally {
    await topology.remove();
  }
}

/** Starting and stopping a server, and storing the values, before it is known from this run. */
const assumedOverheadMs = 600;

function startPace({ plan, trace, samples, endsAt }: Run) {
  const startedAt = Date.now();
  const taken = new Set(samples.map(sampleKey));
  const all = plan.phases.flatMap((phase) => ordersLeft(phase, { plan, trace, taken }));
  let done = 0;
  let plannedMs = 0;
  const planned = ({ durationMs, warmupMs }: SampleOrder) => durationMs + warmupMs;
  const expectedMs = (orders: SampleOrder[]) => {
    const overheadMs = done === 0 ? assumedOverheadMs : (Date.now() - startedAt - plannedMs) / done;
    return orders.reduce((sum, order) => sum + planned(order) + overheadMs, 0);
  };
  return {
    stand: () =>
      endsAt === undefined
        ? { done, all: all.length, leftMs: expectedMs(all.slice(done)) }
        : { done, all: undefined, leftMs: Math.max(0, endsAt - Date.now()) },
    took: (order: SampleOrder) => {
      done++;
      plannedMs += planned(order);
    },
    expectedMs,
  };
}
