import { UserError } from '../base/errors.js';
import { runQuietly } from '../base/tasks.js';
import { appendResult } from '../results/file.js';
import { format, type Priority, type Results, sampleKey } from '../results/schema.js';
import type { Application, Content } from './application/application.js';
import { describeRun } from './describe-run.js';
import { ordersLeft, type Plan } from './plan.js';
import { type Named, preparePlan } from './prepare.js';
import { describeProgress } from './progress-line.js';
import { type Run, startRun } from './run.js';
import { whyNoTracing } from './trace.js';

/** What to measure of one application. */
export type BenchChoices = {
  application: Application;
  plan: Plan;
  named: Named;
  /** What this process and all that it starts have. */
  priority: Priority;
  /** The bench command's, for the record. */
  words: string[];
  /** What was measured of it before, where an interrupted run is taken up again; its plan is then the one that counts. */
  begun?: Results;
};

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
  const { application, begun } = choices;
  const { phases } = begun?.machine.plan ?? choices.plan;
  const workloads = new Set(phases.flatMap(({ points }) => points.map(({ workload }) => workload)));
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
  const { application, begun } = choices;
  const noTracing = await whyNoTracing();
  const plan = begun ? begun.machine.plan : await begin(content, choices, file, signal, noTracing);
  if (begun) appendResult(file, { type: 'resume', startedAt: new Date().toISOString() });
  const taken = new Set(begun?.samples.map(sampleKey));
  let outcome: 'complete' | 'interrupted' = 'interrupted';
  try {
    await measureAll({ application, content, plan, trace: !noTracing, taken, file, signal });
    outcome = 'complete';
  } finally {
    appendResult(file, { type: 'end', endedAt: new Date().toISOString(), outcome });
  }
}

/** Find out what can be measured, and write that down. */
async function begin(
  content: Content,
  { application, plan, named, priority, words }: BenchChoices,
  file: string,
  signal: AbortSignal,
  noTracing: string | undefined,
): Promise<Plan> {
  const prepared = await preparePlan(plan, application, content, named, signal);
  appendResult(file, {
    type: 'machine',
    format,
    startedAt: new Date().toISOString(),
    ...(await describeRun(application, content, prepared.plan, priority)),
    plan: { ...prepared.plan, budgetMs: null, samples: mostSamples(prepared.plan), arguments: words },
  });
  for (const skip of prepared.skips) appendResult(file, skip);
  if (noTracing) appendResult(file, { type: 'skip', what: 'counting system calls', reason: noTracing });
  return prepared.plan;
}

const mostSamples = ({ phases }: Plan) => Math.max(...phases.map(({ samples }) => samples));

async function measureAll(run: Run): Promise<void> {
  const { measure } = startRun(run);
  const left = run.plan.phases.flatMap((phase) => {
    const samples = ordersLeft(phase, run).length;
    return samples > 0 ? [{ phase, samples }] : [];
  });
  const works = left.map(({ phase, samples }) => ({
    title: `Measure ${run.application.name}, ${phase.about}, ${phase.topology}: ${samples} samples`,
    run: (tell: (line: string) => void) => measure(phase, (progress) => tell(describeProgress(progress))),
  }));
  await runQuietly(works);
}
