import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildDir, root } from '../../src/base/paths.js';
import { buildDebugKernel, findDebugKernel } from '../../src/vm/debug-kernel.js';
import { moduleFile } from '../../src/vm/guest.js';
import { findKernel, type KernelName, kernelNames } from '../../src/vm/kernel.js';
import { moduleTask } from '../../src/vm/module.js';
import { whyNoGuests } from '../../src/vm/prepare.js';
import { testUnless } from '../skip.js';
import { outcomeOf, type Program, type Run, type RunOptions, runPrograms } from '../vm/programs.js';

/*
 * The module through its own interface, on each kernel. There are as few guests as there are command lines of the kernel
 * and of the module: each runs all that has to be run with these.
 *
 *	MEGAPIPE_TEST_DEBUG_KERNEL=6.1 npx vitest run test/kernel
 *
 * runs it all on the kernel of that series that looks for mistakes, and builds it first.
 */

const debugKernel = kernelCalled(process.env.MEGAPIPE_TEST_DEBUG_KERNEL);

function kernelCalled(name: string | undefined): KernelName | undefined {
  const found = kernelNames.find((each) => each === name);
  if (name && !found)
    throw new Error(`MEGAPIPE_TEST_DEBUG_KERNEL=${name} is none of ${kernelNames.join(', ')}`);
  return found;
}

const sources = join(root, 'test/kernel');
const builds = { 64: join(buildDir, 'test/kernel'), 32: join(buildDir, 'test/kernel-32') } as const;
type Bits = keyof typeof builds;

/** The behaviours under test, a C program each. */
const behaviours = readdirSync(sources)
  .filter((file) => file.endsWith('.c'))
  .map((file) => file.slice(0, -2))
  .filter((name) => name !== 'fuzz');

const matching = (names: RegExp) => behaviours.filter((name) => names.test(name));

/** Those that depend on how wide a process's words are. */
const aboutShapes = matching(
  /^(abi|accept|buffers|connect|fault|files|lwsocket|messages|recv|register|run|stats)/,
);

/** Those that depend on what lwsockets are made of, and on who watches sockets. */
const aboutSockets = matching(/^(accept|close|connect|disconnect|end|lwsocket|namespace|poll|reset)/);

/** Those in which something ends while something else still uses it. */
const aboutEnds = matching(
  /^(channels|close|descriptor|end|lwsocket-to-fd|namespace|poll|process|reset|thread)/,
);

const needsRoot = (name: string) => readFileSync(join(sources, `${name}.c`), 'utf8').includes('need_root();');

/** Where lwsockets have files, these are counted in vain. */
const needsNoFile = (name: string) => name === 'lwsocket-costs-no-file';

/** Far from each other: a run goes through some of those that follow. For longer: see fuzz.c. */
const seeds = debugKernel ? [1000, 2000, 3000] : [1000, 2000];
const steps = debugKernel ? 2500 : 1500;

const pathOf = (name: string, bits: Bits = 64) => join(builds[bits], name);

const asRoot = (name: string): Program => ({ name, command: [pathOf(name), 'kernel'] });

const as32Bits = (name: string): Program => ({
  name: `in 32 bits: ${name}`,
  command: [pathOf(name, 32), 'kernel'],
});

/** The device is everybody's then; whoever has no rights is to be able to do all this, and no harm. */
const asNobody = (name: string): Program => ({
  name: `as nobody: ${name}`,
  command: [
    'sh',
    '-c',
    'chmod 666 /dev/megapipe && exec "$@"',
    'sh',
    ...becomeNobody,
    pathOf(name),
    'kernel',
  ],
});
const becomeNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

const atRandom = (seed: number): Program => ({
  name: `is used at random, seed ${seed}`,
  command: [pathOf('fuzz'), 'kernel', `${seed}:${steps}`],
});

/** In a guest that has not loaded the module. */
const loadedAgain = (kernel: KernelName): Program => ({
  name: 'is loaded, used and removed again and again',
  command: [
    'sh',
    '-ec',
    'for i in 1 2 3 4 5 6 7 8 9 10; do insmod "$0"; "$1" kernel; rmmod megapipe; done',
    moduleFile(debugKernel ? findDebugKernel(kernel) : findKernel(kernel)),
    pathOf('lwsocket'),
  ],
});

async function build() {
  for (const [bits, folder] of Object.entries(builds))
    await execa('make', ['-s', '-j2', '-C', sources, `O=${folder}`, `BITS=${bits}`], { all: true });
}

const missing = whyNoGuests();

// Before all else: what is run below has the module's path in it.
if (debugKernel && missing === undefined) {
  await buildDebugKernel(debugKernel);
  await moduleTask(debugKernel, findDebugKernel).run();
}

/** All takes its time there, and shadows of the memory take an eighth of it. */
const forDebugging = { debugKernel: true, memoryMiB: 4096, timeLimit: 7200, programLimit: 1200 };
const hookLimitMs = debugKernel ? 4 * 7_200_000 : 1_800_000;

/** A test for each program; they are run in a guest of their own. */
function describeRun(title: string, programs: () => Program[], options: RunOptions) {
  describe(title, () => {
    if (missing !== undefined) {
      testUnless(missing)('all its programs', () => {});
      return;
    }
    const all = programs();
    let run: Run;
    beforeAll(async () => {
      run = await runPrograms(all, { ...(debugKernel ? forDebugging : {}), ...options });
    }, hookLimitMs);

    for (const program of all) {
      test(program.name, ({ skip }) => {
        const { result, output } = outcomeOf(run, program);
        if (result === 'skipped') skip(output.split('\n').at(-1));
        expect(result, output).toBe('passed');
      });
    }

    test('leaves nothing behind, and the kernel has nothing to complain of', () => {
      expect(run.faults).toEqual([]);
    });
  });
}

beforeAll(async () => {
  if (missing === undefined) await build();
}, hookLimitMs);

/** A guest's CPU is emulated and slow: what doesn't depend on the kernel is tested on one of them. */
const thorough: KernelName = '6.12';
const watched: KernelName = '6.1';

for (const kernel of debugKernel ? [debugKernel] : kernelNames) {
  const inAllWays = () => [
    ...aboutShapes.map(as32Bits),
    ...behaviours.filter((name) => !needsRoot(name)).map(asNobody),
  ];
  const everything = () => [
    ...behaviours.map(asRoot),
    ...(kernel === (debugKernel ?? thorough) ? inAllWays() : []),
    ...seeds.map(atRandom),
  ];
  describeRun(`the module on Linux ${kernel}`, everything, { kernel });

  // With a file a lwsocket is what the kernel itself would make: the same on all.
  const withFiles = aboutSockets.filter((name) => !needsNoFile(name));
  if (kernel === (debugKernel ?? thorough))
    describeRun(
      `the module on Linux ${kernel}, lwsockets with a file`,
      () => [...withFiles.map(asRoot), atRandom(4000)],
      { kernel, moduleParameters: ['lwsocket_file=1'] },
    );

  // AppArmor is Debian's own choice: so it was there till here.
  describeRun(
    `the module on Linux ${kernel} with SELinux`,
    () => [...aboutSockets.map(asRoot), atRandom(5000)],
    { kernel, kernelOptions: ['security=selinux', 'selinux=1', 'enforcing=0'] },
  );

  if (kernel === (debugKernel ?? watched))
    describeRun(
      `the module on Linux ${kernel}, memory under watch`,
      () => [...aboutEnds.map(asRoot), ...seeds.map((seed) => atRandom(5000 + seed))],
      { kernel, kernelOptions: ['slub_debug=FZPU'] },
    );

  describeRun(`the module on Linux ${kernel}`, () => [loadedAgain(kernel)], { kernel, module: false });
}
