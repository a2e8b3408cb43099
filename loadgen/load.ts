import { constants } from 'node:os';
import { UserError } from '../src/base/errors.js';
import type { Plan } from './engine.js';
import type { CommonOptions } from './options.js';
import { openOutputFiles } from './output-files.js';
import { type Progress, startProgress } from './progress.js';
import { type CommonResult, type Counted, errnoName, type Given } from './result.js';
import { type Interval, type Observer, type Outcome, runPlan } from './run.js';
import { stepBeginsMs } from './steps.js';
import { errorsText, portAdvice } from './table.js';

/** One load: a plan, where it goes, and what to make of what comes back. */
export type Load<Result extends CommonResult> = {
  options: CommonOptions;
  given: Given;
  plan: Plan;
  /** For messages: `memcached server at 127.0.0.1:11211`. */
  target: string;
  /** What to do before measuring. */
  prepare?: (how: Preparing) => Promise<void>;
  result(outcome: Outcome, series: Interval[]): Omit<Result, 'interrupted'>;
  table(result: Result): string;
};

/** How to prepare a load. */
export type Preparing = {
  signal: AbortSignal;
  progress: Progress;
  /** No more requests a second. */
  maxRate?: number;
};

/** What the engine refused to start with, as a sentence. */
function startError(engine: string, error: unknown): unknown {
  if (!(error instanceof Error && 'errno' in error && 'code' in error)) return error;
  return new UserError(`the load engine can't start with --engine ${engine}: ${error.code}`, {
    hint: 'megapipe doctor tells what this machine can do',
    cause: error,
  });
}

function sumOfErrors({ last }: Outcome) {
  const phases = [last.warmup, last.measuring, last.draining].map(({ errors }) => Object.entries(errors));
  const sums: Record<string, number> = {};
  for (const [kind, n] of phases.flat()) sums[kind] = (sums[kind] ?? 0) + n;
  return sums;
}

/** Why nothing could be measured. */
function failure(target: string, outcome: Outcome): UserError | undefined {
  const { last } = outcome;
  if (last.error !== 0) {
    const hint = -last.error === constants.errno.EADDRNOTAVAIL ? portAdvice : 'is it running, and reachable?';
    return new UserError(`no connection to the ${target}: ${errnoName(last.error)}`, { hint });
  }
  if (last.measuring.answered.some((n) => n > 0)) return undefined;
  const counts = [`${errorsText(sumOfErrors(outcome))} errors`, last.complaint, errnoName(last.lastError)];
  return new UserError(`nothing could be measured at the ${target}: ${counts.filter(Boolean).join(', ')}`);
}

/** Carry a plan out. Throws where it can't start, or nothing could be measured. */
export async function carryOut(
  plan: Plan,
  target: string,
  observer: Parameters<typeof runPlan>[1],
): Promise<Outcome> {
  const outcome = await runPlan(plan, observer).catch((error) => {
    throw startError(plan.engine, error);
  });
  const failed = failure(target, outcome);
  if (failed) throw failed;
  return outcome;
}

/** The lines that tell a program, reading our stderr, when the window begins and ends, and the CPU time used until then. */
export function event(name: 'measuring' | 'measured', at: { monotonicNs: number; wallMs: number }) {
  const { user, system } = process.cpuUsage();
  process.stderr.write(`${JSON.stringify({ event: name, ...at, cpuUs: user + system })}\n`);
}

/** What a load tells while it goes on, and what ends it. */
export type LoadObserver = Pick<Observer, 'notice' | 'interval'> &
  Preparing & {
    /** Waited for between preparing and loading. */
    beforeLoading?: () => Promise<void>;
  };

/** Prepare and load; the result is what --json prints. */
export async function measure<Result extends CommonResult>(
  load: Load<Result>,
  { beforeLoading, notice, interval, ...how }: LoadObserver,
): Promise<Result> {
  const series: Interval[] = [];
  const { signal, progress } = how;
  await load.prepare?.(how);
  await beforeLoading?.();
  const outcome = await carryOut(load.plan, load.target, {
    signal,
    marksMs: stepBeginsMs(load.options.rate),
    ...(notice ? { notice } : {}),
    interval: (one, phase, service) => {
      if (phase !== 'warmup') series.push(one);
      progress.interval(one, phase);
      interval?.(one, phase, service);
    },
  });
  return { ...load.result(outcome, series), interrupted: signal.aborted } as Result;
}

/** Work that Ctrl-C ends early, with progress shown meanwhile. */
export async function withProgress<Result>(
  given: Given,
  work: (signal: AbortSignal, progress: Progress) => Promise<Result>,
): Promise<Result> {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const progress = startProgress(Boolean(given.events));
  try {
    return await work(stop.signal, progress);
  } finally {
    progress.done();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

/** Load, show progress, print the result; Ctrl-C ends early. */
export async function printLoad<Result extends CommonResult & Counted>(load: Load<Result>): Promise<void> {
  const { given } = load;
  const files = openOutputFiles(given);
  const notice: LoadObserver['notice'] = (name, at) => {
    if (given.events && name === 'begun') event('measuring', at);
    if (given.events && name === 'ended') event('measured', at);
  };
  const result = await withProgress(given, (signal, progress) => measure(load, { signal, progress, notice }));
  files.write(result);
  console.log(given.json ? JSON.stringify(result) : load.table(result));
}
