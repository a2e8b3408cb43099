import fc from 'fast-check';
import { type Difference, differences } from './compare.js';
import type { Observation } from './observation.js';
import type { Side, Subject } from './subject.js';

export type Engine = Exclude<Side, 'stock'>;

/** A scenario in which an engine differs from stock. */
export type Finding<Scenario> = { scenario: Scenario; differences: Difference[] };

/** How many scenarios are run at the same time, since they mostly wait. */
const together = 3;

/** How often each side runs a scenario that is suspected, before something is a difference and not an accident. */
const tries = { suspecting: 3, confirming: 6 };

/** Run a scenario on both sides, and again as long as they differ: what the engine always does, and stock never. */
export async function differ<Scenario>(
  subject: Subject<Scenario>,
  engine: Engine,
  scenario: Scenario,
  most = tries.confirming,
): Promise<Difference[]> {
  const stock: Observation[] = [];
  const own: Observation[] = [];
  let found: Difference[] = [];
  for (let run = 1; run <= most; run += 1) {
    const [one, other] = await Promise.all([
      subject.observe('stock', scenario),
      subject.observe(engine, scenario),
    ]);
    stock.push(one);
    own.push(other);
    found = differences(stock, own).filter(
      (difference) => !subject.known.some((known) => known.is(difference, scenario)),
    );
    if (found.length === 0) break;
  }
  return found;
}

/** Whether the scenario of a seed seems to differ, however busy the machine is with other scenarios. */
async function isSuspect<Scenario>(subject: Subject<Scenario>, engine: Engine, seed: number) {
  let suspected = false;
  const property = fc.asyncProperty(subject.scenarios, async (scenario) => {
    suspected = (await differ(subject, engine, scenario, tries.suspecting)).length > 0;
  });
  const result = await fc.check(property, { seed, numRuns: 1 });
  if (result.failed) throw result.errorInstance;
  return suspected;
}

/**
 * Draw the scenario of a seed, and look for a difference; where there is one, for a smaller scenario that has it too.
 *
 * @param shrinkMs how long to look for a smaller one
 */
async function trySeed<Scenario>(
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

/**
 * Try seeds, several at a time; then those that seem to differ once more, each alone on the machine, so that scenarios don't
 * take the time from each other. Tells each finding as it comes.
 */
export async function trySeeds<Scenario>(
  subject: Subject<Scenario>,
  engine: Engine,
  seeds: Iterator<number>,
  shrinkMs: number,
  tell: (finding: string) => void,
): Promise<void> {
  const suspects: number[] = [];
  const suspect = async () => {
    for (let next = seeds.next(); !next.done; next = seeds.next())
      if (await isSuspect(subject, engine, next.value)) suspects.push(next.value);
  };
  await Promise.all(Array.from({ length: together }, suspect));
  for (const seed of suspects) {
    const finding = await trySeed(subject, engine, seed, shrinkMs);
    if (finding) tell(describeFinding(subject, engine, seed, finding));
  }
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
