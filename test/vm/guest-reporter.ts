import { relative } from 'node:path';
import type { Reporter } from 'vitest/node';

/** What came of a test in a guest; a line of JSON each. */
export type GuestTest = {
  /** The file, from the project's root. */
  file: string;
  name: string;
  state: 'passed' | 'failed' | 'skipped';
  /** Why it was skipped, or what failed. */
  why: string;
};

/** Marks a line among whatever else the tests print. */
export const lineMark = '=== guest test ';

function print(line: GuestTest) {
  process.stdout.write(`\n${lineMark}${JSON.stringify(line)}\n`);
}

/** Tells the host's run what came of each test. */
export const guestReporter: Reporter = {
  onTestCaseResult(test) {
    const result = test.result();
    if (result.state === 'pending') return;
    const errors = (result.errors ?? []).map(({ message, stack }) => stack ?? message);
    const note = result.state === 'skipped' ? (result.note ?? '') : '';
    const file = relative(process.cwd(), test.module.moduleId);
    print({ file, name: test.fullName, state: result.state, why: errors.join('\n') || note });
  },
  onTestModuleEnd(module) {
    const file = relative(process.cwd(), module.moduleId);
    for (const { message } of module.errors())
      print({ file, name: 'the file itself', state: 'failed', why: message });
  },
};
