import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type KernelName, kernelNames } from '../../src/vm/kernel.js';
import { whyNoGuests } from '../../src/vm/prepare.js';
import { testUnless } from '../skip.js';
import { outcomeOf, type Program, type Run, runPrograms } from '../vm/programs.js';
import { isThorough } from '../vm/suite.js';
import { type Build, buildAll, builds, programs } from './builds.js';

/*
 * Engine kernel, in virtual machines: every program, and random programs of operations, whose trace has to be that of
 * engine epoll, which the host compares with engine uring's.
 */

const sanitizerOptions = ['ASAN_OPTIONS=detect_leaks=1', 'UBSAN_OPTIONS=print_stacktrace=1'];

/** The device is everybody's, for the programs that are somebody else in part. */
const anybody = ['sh', '-c', 'chmod 666 /dev/megapipe && exec "$@"', 'sh', 'env', ...sanitizerOptions];

const sameTrace = 'a=$("$0" epoll $1) && b=$("$0" kernel $1) && [ -n "$a" ] && [ "$a" = "$b" ]';

function programsOf({ build, testDir, seeds }: Build): Program[] {
  const behaviours = programs.map((name) => ({
    name: `${build}: ${name}`,
    command: [...anybody, join(testDir, name), 'kernel'],
  }));
  const traces = seeds.slice(0, 12).map((seed) => ({
    name: `${build}: has the trace of engine epoll, seed ${seed}`,
    command: [...anybody, 'sh', '-c', sameTrace, join(testDir, 'trace'), `${seed}`],
  }));
  return [...behaviours, ...traces];
}

const [plain, sanitized] = builds;

/** A guest's CPU is emulated and slow: every day each build runs on one kernel. */
const buildsOn: Record<KernelName, Build[]> = {
  '6.1': [plain],
  '6.12': isThorough ? [plain, sanitized] : [sanitized],
};

const missing = whyNoGuests();

for (const kernel of kernelNames) {
  const all = buildsOn[kernel].flatMap(programsOf);
  describe(`engine kernel on Linux ${kernel}`, () => {
    if (missing !== undefined) {
      testUnless(missing)(`all ${all.length} programs`, () => {});
      return;
    }

    let run: Run;
    beforeAll(async () => {
      for (const build of buildsOn[kernel]) await buildAll(build);
      run = await runPrograms(all, { kernel });
    }, 1_800_000);

    for (const program of all) {
      test(program.name, ({ skip }) => {
        const { result, output } = outcomeOf(run, program);
        if (result === 'skipped') skip(output.split('\n').at(-1));
        expect(result, output).toBe('passed');
      });
    }

    test('its guests have nothing to complain of', () => {
      expect(run.faults).toEqual([]);
    });
  });
}
