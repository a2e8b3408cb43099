import { test } from 'vitest';

/**
 * A `test` that runs where its needs are met, and is otherwise a skip that says why. This is the only way to
 * skip here: the reporter fails a run that has a skip without a reason.
 *
 * @param missing what is missing on this machine, or undefined where nothing is
 * @example testUnless(process.getuid?.() === 0 ? undefined : 'needs root')('makes a namespace', async () => …)
 */
export function testUnless(missing: string | undefined): (name: string, run: () => unknown) => void {
  if (missing === undefined) return (name, run) => test(name, async () => void (await run()));
  return (name) => test(name, (context) => context.skip(missing));
}
