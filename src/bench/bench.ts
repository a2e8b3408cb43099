import { existsSync } from 'node:fs';
import { Listr, PRESET_TIMER } from 'listr2';
import { UserError } from '../errors.js';
import { appendResult } from '../results.js';
import { describeTopology } from '../topology.js';
import type { Application } from './application.js';
import { describeMachine } from './machine.js';
import { ordersOf, type Plan } from './plan.js';
import { type Named, type Prepared, preparePlan } from './prepare.js';
import { describeProgress } from './progress-line.js';
import { startRun } from './run.js';
import { whyNoTracing } from './trace.js';

/** What to measure, and where the results go. */
export type BenchChoices = { application: Application; plan: Plan; named: Named; file: string };

/** Measure. The file is a complete account at every moment; an abort ends it as interrupted and is thrown on. */
export async function runBench(choices: BenchChoices, signal: AbortSignal): Promise<void> {
  const { application, plan, named, file } = choices;
  if (existsSync(file)) {
    throw new UserError(`${file} exists already`, { hint: 'give another name to --out', exitCode: 2 });
  }
  const prepared = await preparePlan(plan, application, named, signal);
  const noTracing = await whyNoTracing();
  await writeHead(choices, prepared);
  if (noTracing) appendResult(file, { type: 'skip', what: 'counting system calls', reason: noTracing });
  let outcome: 'complete' | 'interrupted' = 'interrupted';
  try {
    await measureAll(application, prepared.plan, file, noTracing === undefined, signal);
    outcome = 'complete';
  } finally {
    appendResult(file, { type: 'end', endedAt: new Date().toISOString(), outcome });
  }
}

async function writeHead({ application, file }: BenchChoices, { plan, skips }: Prepared): Promise<void> {
  appendResult(file, {
    type: 'machine',
    format: 1,
    startedAt: new Date().toISOString(),
    ...(await describeMachine(application.name)),
    topologies: plan.phases.map(({ topology }) => describeTopology(topology)),
    workload: {
      application: application.name,
      description: application.workload,
      parameters: application.parameters,
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

async function measureAll(
  application: Application,
  plan: Plan,
  file: string,
  trace: boolean,
  signal: AbortSignal,
): Promise<void> {
  const run = startRun({ application, plan, trace, file, signal });
  const failures: unknown[] = [];
  const tasks = plan.phases.map((phase) => ({
    title: `Measure ${application.name}, ${phase.topology}: ${ordersOf(phase, plan, trace).length} samples`,
    task: async (_context: unknown, task: { output: string }) => {
      try {
        await run.measure(phase, (progress) => {
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
