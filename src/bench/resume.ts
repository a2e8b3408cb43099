import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../base/errors.js';
import { readResults } from '../results/file.js';
import type { BenchChoices } from './bench.js';
import { describeRun } from './describe-run.js';

/** A run that was begun, as it is in its file. */
type Begun = {
  /** The words that it was asked for with. */
  words: string[];
  /** One application's part of it, with what is there already; undefined where nothing is left of it. */
  goOn(choices: BenchChoices): BenchChoices | undefined;
};

/** Read what there is of a run. */
export function readBegun(file: string): Begun {
  const runs = readResults(file);
  const [first] = runs;
  const words = first?.machine.plan.arguments ?? [];
  if (!first || first.machine.plan.phases.length === 0) {
    throw new UserError(`${file} does not say how it was asked for`, { hint: 'measure anew' });
  }
  return {
    words,
    goOn: (choices) => {
      const begun = runs.find(({ machine }) => machine.workload.application === choices.application.name);
      if (!begun) return choices;
      if (begun.end?.outcome === 'complete') return undefined;
      if (begun === runs.at(-1)) return { ...choices, begun };
      throw new UserError(`${file} goes on after ${choices.application.name}, which is not complete in it`, {
        hint: 'measure that anew',
      });
    },
  };
}

/** What is measured now must be comparable with what was measured then. */
export async function checkResumable(
  file: string,
  { application, priority, begun }: BenchChoices,
): Promise<void> {
  if (!begun) return;
  const { machine } = begun;
  const described = await describeRun(application, { parameters: {} }, machine.plan, priority);
  const { workload: _workload, ...now } = described;
  const other = (Object.keys(now) as (keyof typeof now)[]).filter(
    (field) => !isDeepStrictEqual(now[field], machine[field]),
  );
  if (other.length === 0) return;
  throw new UserError(`${file} was measured with another ${other.join(', ')} than there is here and now`, {
    hint: 'go on where and with what it was begun, or measure anew',
  });
}
