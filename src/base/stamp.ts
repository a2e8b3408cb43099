import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** A step whose work is done again only when what goes in has changed. */
export type Step = {
  /** Where the hash of the inputs is kept. */
  stamp: string;
  /** Files whose contents go in. */
  inputs: string[];
  /** Anything else that goes in: flags, versions. */
  parameters?: unknown;
  /** Files that must be there for the work to count as done. */
  outputs: string[];
};

/** Run `work` unless the step's stamp says that it was done with the same inputs; true if it ran. */
export async function runStep(step: Step, work: () => Promise<unknown>): Promise<boolean> {
  if (isUpToDate(step)) return false;
  const hash = hashInputs(step);
  rmSync(step.stamp, { force: true });
  await work();
  mkdirSync(dirname(step.stamp), { recursive: true });
  writeFileSync(step.stamp, `${hash}\n`);
  return true;
}

/** Whether the step's stamp says that its work was done with the inputs as they are. */
export function isUpToDate(step: Step): boolean {
  if (!existsSync(step.stamp) || !step.outputs.every((output) => existsSync(output))) return false;
  return readFileSync(step.stamp, 'utf8').trim() === hashInputs(step);
}

function hashInputs(step: Step): string {
  const hash = createHash('sha256').update(JSON.stringify(step.parameters ?? null));
  for (const input of step.inputs) hash.update(`\0${input}\0`).update(readFileSync(input));
  return hash.digest('hex');
}
