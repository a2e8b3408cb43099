import { UserError } from '../base/errors.js';
import { runQuietly } from '../base/tasks.js';
import { appendResult } from '../results/file.js';
import { format, type Phase, type Priority, type Results, sampleKey } from '../results/schema.js';
import type { Application, Content } from './application/application.js';
import { phaseUntil, shareUntil } from './budget.js';
import { describeRun } from './describe-run.js';
import { type Family, startFamily } from './headline.js';
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
  const family = startFamily(
    all.map(({ application, plan, begun }) => ({
      application: application.name,
      plan: begun?.machine.plan ?? plan,
    })),
  );
  const endsAt = endOf(all);
  for (const [index, choices] of all.entries()) {
    const until = endsAt === undefined ? undefined : shareUntil(endsAt, all.length - index);
    try {
      await measureApplication({ ...choices, family, endsAt: until, file, signal });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof UserError)) throw error;
      failures.push({ application: choices.application.name, error });
    }
  }
  return failures;
}

/** When all of it is to be over, where it has a budget: what one application leaves, those after it have. */
function endOf(all: BenchChoices[]): number | undefined {
  const budgets = all.map(({ plan, begun }) => (begun ? leftOf(begun) : plan.budgetMs));
  if (budgets.some((budget) => budget === null)) return undefined;
  return Date.now() + budgets.reduce<number>((sum, budget) => sum + (budget ?? 0), 0);
}

/** Of a run that was interrupted what is left of its budget. */
function leftOf({ machine, samples }: Results): number | null {
  if (machine.plan.budgetMs === null) return null;
  const usedMs = Date.parse(samples.at(-1)?.startedAt ?? machine.startedAt) - Date.parse(machine.startedAt);
  return Math.max(0, machine.plan.budgetMs - usedMs);
}

/** An application's part of what is measured. */
type Part = BenchChoices & {
  family: Family;
  /** Where it has a budget. */
  endsAt: number | undefined;
  file: string;
  signal: AbortSignal;
};

async function measureApplication(part: Part): Promise<void> {
  const { application, begun, plan, signal } = part;
  const { phases } = begun?.machine.plan ?? plan;
  const workloads = new Set(phases.flatMap(({ points }) => points.map(({ workload }) => workload)));
  const content = await application.prepareContent([...workloads], signal);
  try {
    await measureWith(content, part);
  } finally {
    content.remove();
  }
}

async function measureWith(content: Content, part: Part): Promise<void> {
  const { begun, file } = part;
  const noTracing = await whyNoTracing();
  const plan = begun ? begun.machine.plan : await begin(content, part, noTracing);
  if (begun) appendResult(file, { type: 'resume', startedAt: new Date().toISOString() });
  const samples = begun ? [...begun.retaken, ...begun.samples] : [];
  let outcome: 'complete' | 'interrupted' = 'interrupted';
  try {
    await measureAll({ ...part, content, plan, trace: !noTracing, samples });
    outcome = 'complete';
  } finally {
    appendResult(file, { type: 'end', endedAt: new Date().toISOString(), outcome });
  }
}

/** Find out what can be measured, and write that down. */
async function begin(
  content: Content,
  { application, plan, named, priority, words, file, signal }: Part,
  noTracing: string | undefined,
): Promise<Plan> {
  const prepared = await preparePlan(plan, application, content, named, signal);
  appendResult(file, {
    type: 'machine',
    format,
    startedAt: new Date().toISOString(),
    ...(await describeRun(application, content, prepared.plan, priority)),
    plan: { ...prepared.plan, samples: mostSamples(prepared.plan), arguments: words },
  });
  for (const skip of prepared.skips) appendResult(file, skip);
  if (noTracing) appendResult(file, { type: 'skip', what: 'counting system calls', reason: noTracing });
  return prepared.plan;
}

const mostSamples = ({ phases }: Plan) => Math.max(...phases.map(({ samples }) => samples));

async function measureAll(run: Run): Promise<void> {
  const { measure } = startRun(run);
  const { phases } = run.plan;
  const works = phases.map((phase, index) => ({
    title: `Measure ${run.application.name}, ${phase.about}, ${phase.topology}${extentOf(phase, run)}`,
    run: async (tell: (line: string) => void) => {
      const until = phaseUntil(run.endsAt, phase.headline !== null, phases.length - index);
      const rounds = await measure(phase, until, (progress) => tell(describeProgress(progress)));
      if (rounds === 0) appendResult(run.file, noTimeFor(phase));
    },
  }));
  await runQuietly(works);
}

/** How much a phase is. */
function extentOf(phase: Phase, { plan, endsAt, trace, samples }: Run): string {
  if (endsAt === undefined) {
    return `: ${ordersLeft(phase, { plan, trace, taken: new Set(samples.map(sampleKey)) }).length} samples`;
  }
  return phase.headline ? ', until it is decided' : ', in what time is left';
}

const noTimeFor = ({ about, topology }: Phase) => ({
  type: 'skip' as const,
  what: `${about}, ${topology}`,
  reason: 'the budget of time was used up; --budget gives more',
});
