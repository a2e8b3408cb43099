import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildDir, root } from '../../src/base/paths.js';
import { type GuestOptions, runInGuest } from '../../src/vm/guest.js';
import { whyNoGuests } from '../../src/vm/prepare.js';
import { testUnless } from '../skip.js';
import { type GuestTest, lineMark } from './guest-reporter.js';

/** Guests run all tests of the servers, and not just those that fit into everyday's tests. */
export const isThorough = process.env.MEGAPIPE_TEST_GUESTS === 'all';

/** How many tests there are at least where a guest has run them. */
const fewestTests = 20;

/**
 * The tests in some files, run on engine kernel in a guest: a test here for each there, that passes, fails and is skipped
 * as it was there.
 */
export async function describeInGuest(
  title: string,
  files: string[],
  options: Omit<GuestOptions, 'command'>,
) {
  const missing = whyNoGuests();
  if (missing !== undefined) {
    describe(title, () => testUnless(missing)('all its tests', () => {}));
    return;
  }
  const tests = await runSuite(files, 'kernel', options);
  describe(title, () => {
    test('was run in a guest', () => expect(tests.length).toBeGreaterThan(fewestTests));
    for (const { file, name, state, why } of tests) {
      test(`${file}: ${name}`, ({ skip }) => {
        if (state === 'skipped') skip(why);
        expect(state, why).toBe('passed');
      });
    }
  });
}

/**
 * Run test files in a guest, on one engine, and tell what came of each test. A guest that its tests bring down, or whose
 * kernel complains, is one more failed test.
 */
async function runSuite(
  files: string[],
  engine: string,
  options: Omit<GuestOptions, 'command'>,
): Promise<GuestTest[]> {
  const chunks: Buffer[] = [];
  const vitest = [process.execPath, join(root, 'node_modules/vitest/vitest.mjs'), 'run'];
  const faults: string[] = [];
  // To watch it, and for what it says beside the tests' outcomes.
  const log = join(
    buildDir,
    'test',
    `guest-${files.map((file) => file.replaceAll('/', '-')).join('+')}.log`.slice(0, 200),
  );
  mkdirSync(dirname(log), { recursive: true });
  rmSync(log, { force: true });
  try {
    const { exitCode, stderr } = await runInGuest({
      memoryMiB: 6144,
      timeLimit: isThorough ? 7200 : 1500,
      cwd: root,
      ...options,
      environment: { MEGAPIPE_TEST_ENGINE: engine, CI: 'true' },
      command: ['sh', '-c', 'chmod 666 /dev/megapipe && exec "$@"', 'sh', ...vitest, ...files],
      onStdout: (chunk) => {
        chunks.push(chunk);
        appendFileSync(log, chunk);
      },
    });
    if (exitCode > 1) faults.push(`vitest ended with status ${exitCode}: ${stderr}`);
  } catch (error) {
    faults.push((error as Error).message);
  }
  const output = Buffer.concat(chunks).toString();
  const tests = testsIn(output);
  if (tests.length === 0) faults.push(`vitest ran no test: ${output}`);
  const file = files.join(' ');
  return [
    ...tests,
    ...faults.map((why) => ({ file, name: 'the guest itself', state: 'failed' as const, why })),
  ];
}

function testsIn(output: string): GuestTest[] {
  const lines = output.split('\n').filter((line) => line.startsWith(lineMark));
  return lines.map((line) => JSON.parse(line.slice(lineMark.length)) as GuestTest);
}
