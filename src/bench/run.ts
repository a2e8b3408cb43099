import { makeTopology, type Topology } from '../host/topology.js';
import { appendResult } from '../results/file.js';
import type { Phase, SampleRecord } from '../results/schema.js';
import type { Application, Content } from './application/application.js';
import { type Loaders, startLoaders } from './loaders.js';
import { ordersLeft, type Plan } from './plan.js';
import { type SampleOrder, takeSample } from './sample.js';

/** Where a run stands: told before each sample. */
export type Progress = {
  phase: Phase;
  order: SampleOrder;
  /** Samples of the whole run. */
  done: number;
  all: number;
  failed: number;
  leftMs: number;
  last: SampleRecord | undefined;
};

export type Run = {
  application: Application;
  content: Content;
  plan: Plan;
  /** Whether system calls can be counted. */
  trace: boolean;
  /** Keys of samples that were taken before. */
  taken: ReadonlySet<string>;
  file: string;
  signal: AbortSignal;
};

/** Measures a run's phases one after another, and knows how long the rest will take. */
export function startRun(run: Run): {
  measure(phase: Phase, tell: (progress: Progress) => void): Promise<void>;
} {
  const all = run.plan.phases.flatMap((phase) => ordersLeft(phase, run));
  const pace = startPace(all);
  const state = { failed: 0, last: undefined as SampleRecord | undefined };
  const measure = (phase: Phase, tell: (progress: Progress) => void) =>
    withTopology(phase, run.signal, async (place) => {
      for (const order of ordersLeft(phase, run)) {
        run.signal.throwIfAborted();
        tell({ phase, order, done: pace.done(), all: all.length, leftMs: pace.leftMs(), ...state });
        state.last = await takeSample(order, { ...run, ...place });
        if (state.last.status === 'failed') state.failed++;
        appendResult(run.file, state.last);
        pace.took(order);
      }
    });
  return { measure };
}

type Place = { topology: Topology; loaders: Loaders };

async function withTopology(
  phase: Phase,
  signal: AbortSignal,
  work: (place: Place) => Promise<void>,
): Promise<void> {
  const topology = await makeTopology(phase.topology);
  try {
    const loaders = await startLoaders(topology, signal);
    try {
      await work({ topology, loaders });
    } finally {
      await loaders.stop();
    }
  } finally {
    await topology.remove();
  }
}

/** Starting a server and a client, storing the values and stopping both, before it is known from this run. */
const assumedOverheadMs = 1200;

function startPace(all: SampleOrder[]) {
  const startedAt = Date.now();
  let done = 0;
  let plannedMs = 0;
  const planned = ({ durationMs, warmupMs }: SampleOrder) => durationMs + warmupMs;
  return {
    done: () => done,
    took: (order: SampleOrder) => {
      done++;
      plannedMs += planned(order);
    },
    leftMs: () => {
      const overheadMs = done === 0 ? assumedOverheadMs : (Date.now() - startedAt - plannedMs) / done;
      return all.slice(done).reduce((sum, order) => sum + planned(order) + overheadMs, 0);
    },
  };
}
