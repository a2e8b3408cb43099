import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { buildDir } from '../../src/base/paths.js';
import { isUpToDate } from '../../src/base/stamp.js';
import { debugKernelStep, findDebugKernel } from '../../src/vm/debug-kernel.js';
import { runInGuest } from '../../src/vm/guest.js';
import { type KernelName, kernelNames } from '../../src/vm/kernel.js';
import { whyNoGuests } from '../../src/vm/prepare.js';
import { testUnless } from '../skip.js';
import { buildMoodyModule, type Mood } from './moody-module.js';

function whyNotWith(kernel: KernelName): string | undefined {
  if (whyNoGuests() || isUpToDate(debugKernelStep(kernel))) return whyNoGuests();
  return `the debug kernel ${kernel} is not built: npx megapipe vm --debug-kernel --kernel ${kernel} -- true`;
}

describe.each(kernelNames)('the debug kernel %s', (kernel) => {
  const missing = whyNotWith(kernel);
  let module: string;
  let folder: string;

  beforeAll(async () => {
    if (missing) return;
    folder = mkdtempSync(join(buildDir, 'test/debug-kernel-'));
    module = await buildMoodyModule(findDebugKernel(kernel), folder);
  });
  afterAll(() => folder && rmSync(folder, { recursive: true, force: true }));

  const run = (mood: Mood) => {
    const moduleParameters = [`mood=${mood}`];
    // To look for leaks takes a minute.
    const kernelOptions = mood === 'good' || mood === 'leaks' ? [] : ['kmemleak=off'];
    return runInGuest({
      kernel,
      debugKernel: true,
      module,
      moduleParameters,
      kernelOptions,
      command: ['true'],
      timeLimit: 300,
    });
  };

  testUnless(missing)('has no complaint of a module without a mistake', async () => {
    const { exitCode, kernelLog } = await run('good');
    expect(exitCode).toBe(0);
    expect(kernelLog).toContain('Lock dependency validator');
  });

  for (const [mood, complaint] of [
    ['uses-freed', /BUG: KASAN: .*use-after-free in use_freed/],
    ['leaks', /unreferenced object .*\(size 512\)/],
    ['locks', /WARNING: possible circular locking dependency detected/],
  ] as const) {
    testUnless(missing)(`finds the mistake of a module that is in the mood "${mood}"`, async () => {
      await expect(run(mood)).rejects.toThrow(complaint);
    });
  }
});
