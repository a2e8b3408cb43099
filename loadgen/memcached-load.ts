import { UserError } from '../src/base/errors.js';
import type { Plan } from './engine.js';
import { withoutContent } from './given-content.js';
import { carryOut, type Load, type Preparing } from './load.js';
import { makePlan, makePrefillPlan } from './memcached.js';
import {
  type LoadResult,
  loadResult,
  loadResultSchema,
  memcachedWhole,
  mergeLoadResults,
} from './memcached-result.js';
import { type MemcachedOptions, memcachedOptionNames, memcachedOptions } from './options.js';
import type { Protocol } from './protocol.js';
import { errnoName, type Given } from './result.js';
import { resultTable } from './table.js';

type Prefilled = ReturnType<typeof memcachedWhole>;

/** Set every key. Throws unless all of them were stored. */
async function prefill(
  options: MemcachedOptions,
  plan: Plan,
  target: string,
  { signal, progress, maxRate }: Preparing,
): Promise<Prefilled> {
  progress.stage(`setting ${options.keys} keys`);
  const { last } = await carryOut(makePrefillPlan(plan, maxRate), target, { signal });
  const whole = memcachedWhole(last);
  const bad = whole.errors.server + whole.requests.failed;
  if (bad > 0 && !signal.aborted) {
    const why = last.complaint || errnoName(last.lastError) || 'no answer';
    throw new UserError(`prefill: ${bad} of ${options.keys} keys could not be set: ${why}`, {
      hint: 'does the server take values of this size? --no-prefill goes on without',
    });
  }
  return whole;
}

/** A load of a memcached server, from the command line's options. */
async function memcachedLoad(given: Given): Promise<Load<LoadResult>> {
  const options = await memcachedOptions(given);
  const plan = makePlan(options);
  const target = `memcached server at ${options.server}`;
  let filled: Prefilled | undefined;
  return {
    options,
    given,
    plan,
    target,
    prepare: async (how) => {
      if (options.prefill) filled = await prefill(options, plan, target, how);
    },
    result: (outcome, series) => loadResult(options, given, outcome, series, filled),
    table: resultTable,
  };
}

/** `megapipe load memcached`. */
export const memcachedProtocol: Protocol<LoadResult> = {
  name: 'memcached',
  options: memcachedOptionNames,
  ...withoutContent,
  load: memcachedLoad,
  // All have the same keys and values: one sets them.
  partOf: (given, index) => (index === 0 ? given : { ...given, prefill: false }),
  result: loadResultSchema,
  merge: mergeLoadResults,
  table: resultTable,
};
