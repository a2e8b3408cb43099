import { constants } from 'node:os';
import { UserError } from '../src/errors.js';
import type { Plan } from './engine.js';
import { makePlan, makePrefillPlan } from './memcached.js';
import { type MemcachedOptions, memcachedOptions } from './options.js';
import { type Progress, startProgress } from './progress.js';
import { errnoName, type Given, type LoadResult, loadResult, wholeOf } from './result.js';
import { type Interval, type Outcome, runPlan } from './run.js';
import { errorsText, portAdvice, resultTable } from './table.js';

/** What the engine refused to start with, as a sentence. */
function startError(options: MemcachedOptions, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? Number(error.code) : Number.NaN;
  if (!(code < 0)) return error;
  const name = errnoName(code);
  return new UserError(`the load engine can't start with --engine ${options.engine}: ${name}`, {
    hint: 'megapipe doctor tells what this machine can do',
    cause: error,
  });
}

/** Why nothing could be measured. */
function failure(options: MemcachedOptions, { last }: Outcome): UserError | undefined {
  const where = `memcached server at ${options.server}`;
  if (last.error !== 0) {
    const hint = -last.error === constants.errno.EADDRNOTAVAIL ? portAdvice : 'is it running, and reachable?';
    return new UserError(`no connection to the ${where}: ${errnoName(last.error)}`, { hint });
  }
  if (last.measuring.answered.some((n) => n > 0)) return undefined;
  const counts = [`${errorsText(wholeOf(last).errors)} errors`, last.complaint, errnoName(last.lastError)];
  return new UserError(`nothing could be measured at the ${where}: ${counts.filter(Boolean).join(', ')}`);
}

async function run(
  options: MemcachedOptions,
  plan: Plan,
  observer: Parameters<typeof runPlan>[1],
): Promise<Outcome> {
  try {
    return await runPlan(plan, observer);
  } catch (error) {
    throw startError(options, error);
  }
}

/** Set every key. Throws unless all of them were stored. */
async function prefill(options: MemcachedOptions, plan: Plan, signal: AbortSignal, progress: Progress) {
  progress.stage(`setting ${options.keys} keys`);
  const outcome = await run(options, makePrefillPlan(plan), { signal });
  const failed = failure(options, outcome);
  if (failed) throw failed;
  const whole = wholeOf(outcome.last);
  const bad = whole.errors.server + whole.requests.failed;
  if (bad > 0 && !signal.aborted) {
    const why = outcome.last.complaint || errnoName(outcome.last.lastError) || 'no answer';
    throw new UserError(`prefill: ${bad} of ${options.keys} keys could not be set: ${why}`, {
      hint: 'does the server take values of this size? --no-prefill goes on without',
    });
  }
  return whole;
}

/** The lines that tell a program, reading our stderr, when the window begins and ends. */
function event(name: 'measuring' | 'measured', at: { monotonicNs: number; wallMs: number }) {
  process.stderr.write(`${JSON.stringify({ event: name, ...at })}\n`);
}

async function measure(
  options: MemcachedOptions,
  given: Given,
  signal: AbortSignal,
  progress: Progress,
): Promise<LoadResult> {
  const plan = makePlan(options);
  const filled = options.prefill ? await prefill(options, plan, signal, progress) : undefined;
  const series: Interval[] = [];
  const outcome = await run(options, plan, {
    signal,
    notice: (notice, at) => {
      if (given.events && notice === 'begun') event('measuring', at);
      if (given.events && notice === 'ended') event('measured', at);
    },
    interval: (interval, phase) => {
      if (phase !== 'warmup') series.push(interval);
      progress.interval(interval, phase);
    },
  });
  const failed = failure(options, outcome);
  if (failed) throw failed;
  return { ...loadResult(options, given, outcome, series, filled), interrupted: signal.aborted };
}

/** `megapipe load memcached`: everything from the command line's options to the printed result. */
export async function loadMemcached(given: Given): Promise<void> {
  const options = await memcachedOptions(given);
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const progress = startProgress(Boolean(given.events));
  try {
    const result = await measure(options, given, stop.signal, progress);
    progress.done();
    console.log(given.json ? JSON.stringify(result) : resultTable(result));
  } finally {
    progress.done();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
