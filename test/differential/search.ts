import fc from 'fast-check';
import { type Difference, differences } from './compare.js';
import type { Side, Subject } from './subject.js';

export type Engine = Exclude<Side, 'stock'>;

/** A scenario in which an engine differs from stock. */
export type Finding<Scenario> = { scenario: Scenario; differences: Difference[] };

/** How many scenarios are run at the same time. */
const together = 3;

/** How often a scenario is run before a difference is one, and not an accident of a busy machine. */
const tries = 3;

/** Run a scenario on both, and again where they differ: what an engine always does, and stock never. */
export async function differ<Scenario>(
  subject: Subject<Scenario>,
  engine: Engine,
  scenario: Scenario,
): Promise<Difference[]> {
  const stock = [];
  let found: Difference[] = [];
  for (let run = 1; run <= tries; run += 1) {
    const [one, other] = await Promise.all([
      subject.observe('stock', scenario),
      subject.observe(engine, scenario),
    ]);
    stock.push(one);
    const now = differences(stock, other).filter(
      (difference) => !subject.known.some((known) => known.is(difference, scenario)),
    );
    found = run === 1 ? now : now.filter(({ fact }) => found.some((before) => before.fact === fact));
    if (found.length === 0) break;
  }
  return found;
}

/**
 * Draw the scenario of a seed, and look for a difference; where there is one, for a smaller scenario that has it too.
 *
 * @param shrinkMs how long to look for a smaller one
 */
export async function trySeed<Scenario>(
  subject: Subject<Scenario>,
  engine: Engine,
  seed: number,
  shrinkMs: number,
): Promise<Finding<Scenario> | undefined> {
  let smallest: Finding<Scenario> | undefined;
  let shrinkUntil = Number.POSITIVE_INFINITY;
  const property = fc.asyncProperty(subject.scenarios, async (scenario) => {
    // Nothing smaller is looked for any more: all that is offered is as good as stock.
    if (Date.now() > shrinkUntil) return;
    const found = await differ(subject, engine, scenario);
    if (found.length === 0) return;
    if (!smallest) shrinkUntil = Date.now() + shrinkMs;
    smallest = { scenario, differences: found };
    throw new Error('differs');
  });
  const result = await fc.check(property, { seed, numRuns: 1 });
  if (result.failed && !smallest) throw result.errorInstance;
  return smallest;
}

/** Try seeds, some at the same time, since scenarios mostly wait; tell each finding as it comes. */
export async function trySeeds<Scenario>(
  subject: Subject<Scenario>,
  engine: Engine,
  seeds: Iterator<number>,
  shrinkMs: number,
  tell: (finding: string) => void,
): Promise<void> {
  const work = async () => {
    for (let next = seeds.next(); !next.done; next = seeds.next()) {
      const finding = await trySeed(subject, engine, next.value, shrinkMs);
      if (finding) tell(describeFinding(subject, engine, next.value, finding));
    }
  };
  await Promise.all(Array.from({ length: together }, work));
}

/** A finding, to be read by a person and tried again. */
export function describeFinding<Scenario>(
  subject: Subject<Scenario>,
  engine: Engine,
  seed: number,
  { scenario, differences }: Finding<Scenario>,
): string {
  const lines = differences.map(
    ({ fact, stock, engine: own }) => `  ${fact}\n    stock: ${stock}\n    ${engine}: ${own}`,
  );
  const again = `npx vite-node test/differential/run.ts ${subject.name} ${engine} --seed ${seed} --count 1`;
  return [
    `${subject.name} on ${engine} differs from stock, seed ${seed}: ${again}`,
    ...lines,
    JSON.stringify(scenario),
  ].join('\n');
}
