import { mkdirSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

type Totals = { passed: number; failed: number; skipped: number };

/** Why a skipped test was skipped; undefined where its author did not say. */
function skipReason(test: TestCase): string | undefined {
  const result = test.result();
  return result.state === 'skipped' ? result.note : undefined;
}

function count(modules: readonly TestModule[], tests: readonly TestCase[], errors: number): Totals {
  const failedOutsideTests = modules.filter((module) => module.errors().length > 0).length;
  const having = (state: string) => tests.filter((test) => test.result().state === state).length;
  const unexplained = tests.filter((test) => test.result().state === 'skipped' && !skipReason(test)).length;
  return {
    passed: having('passed'),
    failed: having('failed') + having('pending') + failedOutsideTests + errors + unexplained,
    skipped: having('skipped') - unexplained,
  };
}

function printSkips(tests: readonly TestCase[]) {
  for (const test of tests) {
    if (test.result().state !== 'skipped') continue;
    const reason = skipReason(test) ?? 'NO REASON GIVEN, which counts as a failure: use testUnless()';
    console.log(`skipped: ${relative(process.cwd(), test.module.moduleId)}: ${test.fullName}: ${reason}`);
  }
}

/** Lists every skip with its reason, and leaves the totals in build/test/totals.json for .ci/run. */
export const skipsAndTotals: Reporter = {
  onTestRunEnd(modules, errors) {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const totals = count(modules, tests, errors.length);
    printSkips(tests);
    mkdirSync('build/test', { recursive: true });
    writeFileSync('build/test/totals.json', `${JSON.stringify(totals)}\n`);
    if (totals.failed > 0) process.exitCode = 1;
  },
};
