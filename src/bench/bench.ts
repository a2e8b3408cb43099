import { existsSync } from 'node:fs';
import { Listr, PRESET_TIMER } from 'listr2';
import { UserError } from '../errors.js';
import { appendResult, format } from '../results.js';
import { describeTopology } from '../topology.js';
import type { Application, Content } from './application.js';
import { describeMachine } from './machine.js';
import { ordersOf, type Plan } from './plan.js';
import { type Named, type Prepared, preparePlan } from './prepare.js';
import { describeProgress } from './progress-line.js';
import { type Run, startRun } from './run.js';
import { whyNoTracing } from './trace.js';

/** What to measure of one application. */
export type BenchChoices = { application: Application; plan: Plan; named: Named };

/** An application that could not be measured, and why. */
export type BenchFailure = { application: string; error: UserError };

/**
 * Measure one application after another. The file is a complete account at every moment; an abort ends it as interrupted
 * and is thrown on. An application that cannot be measured does not keep the others from it.
 */
export async function runBench(
  all: BenchChoices[],
  file: string,
  signal: AbortSignal,
): Promise<BenchFailure[]> {
  if (existsSync(file)) {
    throw new UserError(`${file} exists already`, { hint: 'give another name to --out', exitCode: 2 });
  }
  const failures: BenchFailure[] = [];
  for (const choices of all) {
    try {
      await measureApplication(choices, file, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof UserError)) throw error;
      failures.push({ application: choices.application.name, error });
    }
  }
  return failures;
}

async function measureApplication(choices: BenchChoices, file: string, signal: AbortSignal): Promise<void> {
  const { application, plan } = choices;
  const workloads = new Set(plan.phases.flatMap(({ points }) => points.map(({ workload }) => workload)));
  const content = await application.prepareContent([...workloads], signal);
  try {
    await measureWith(content, choices, file, signal);
  } finally {
    content.remove();
  }
}

async function measureWith(
  content: Content,
  choices: BenchChoices,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const { application, plan, named } = choices;
  const prepared = await preparePlan(plan, application, content, named, signal);
  const noTracing = await whyNoTracing();
  await writeHead(application, content, prepared, file);
  if (noTracing) appendResult(file, { type: 'skip', what: 'counting system calls', reason: noTracing });
  let outcome: 'complete' | 'interrupted' = 'interrupted';
  try {
    await measureAll({ application, content, plan: prepared.plan, trace: !noTracing, file, signal });
    outcome = 'complete';
  } finally {
    appendResult(file, { type: 'end', endedAt: new Date().toISOString(), outcome });
  }
}

async function writeHead(
  application: Application,
  content: Content,
  { plan, skips }: Prepared,
  file: string,
): Promise<void> {
  appendResult(file, {
    type: 'machine',
    format,
    startedAt: new Date().toISOString(),
    ...(await describeMachine(application.name)),
    topologies: plan.phases.map(({ topology }) => describeTopology(topology)),
    workload: {
      application: application.name,
      description: application.workload,
      parameters: { ...application.parameters, ...content.parameters },
      serverArguments: application.commonArguments,
    },
    plan: {
      preset: plan.preset,
      samples: Math.max(...plan.phases.map(({ samples }) => samples)),
      durationMs: plan.durationMs,
      warmupMs: plan.warmupMs,
    },
  });
  for (const skip of skips) appendResult(file, skip);
}

async function measureAll(run: Run): Promise<void> {
  const { measure } = startRun(run);
  const failures: unknown[] = [];
  const tasks = run.plan.phases.map((phase) => ({
    title: `Measure ${run.application.name}, ${phase.topology}: ${ordersOf(phase, run.plan, run.trace).length} samples`,
    task: async (_context: unknown, task: { output: string }) => {
      try {
        await measure(phase, (progress) => {
          task.output = describeProgress(progress);
        });
      } catch (error) {
        failures.push(error);
        throw error;
      }
    },
  }));
  const list = new Listr(tasks, {
    fallbackRenderer: 'simple',
    // Interrupts are ours: listr2 would leave at once, and servers and namespaces would stay.
    registerSignalListeners: false,
    // Lazy: no spinner, which would take time from the CPUs that are being measured.
    rendererOptions: { lazy: true, collapseErrors: false, showErrorMessage: false, timer: PRESET_TIMER },
    fallbackRendererOptions: { timer: PRESET_TIMER },
  });
  await list.run().catch((error: unknown) => {
    throw failures[0] ?? error;
  });
}
