import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { withBuildLock } from '../base/build-lock.js';
import { isUpToDate } from '../base/stamp.js';
import { outcomeOf, type Task } from '../base/tasks.js';
import { findDebugKernel } from './debug-kernel.js';
import { buildInitramfs, initramfsStep } from './initramfs.js';
import {
  fetchKernel,
  findKernel,
  type GuestKernel,
  type KernelName,
  kernelNames,
  kernelStep,
  whyNotThisMachine,
} from './kernel.js';
import { qemu } from './qemu.js';

/** Why this machine can run no guest; undefined where it can. */
export function whyNoGuests(): string | undefined {
  const machine = whyNotThisMachine();
  if (machine) return machine;
  const folders = (process.env.PATH ?? '').split(delimiter);
  if (folders.some((folder) => existsSync(join(folder, qemu)))) return undefined;
  return `${qemu} is missing, of the package qemu-system-x86`;
}

/** The steps of the set-up after which guests can be run at once. */
export function guestTasks(): Task[] {
  return kernelNames.map((name) => ({
    title: `kernel ${name} for virtual machines`,
    run: async () => {
      const skipped = whyNotThisMachine();
      if (skipped) return { skipped };
      const fetched = await fetchKernel(name);
      return outcomeOf((await buildInitramfs(findKernel(name))) || fetched);
    },
  }));
}

/** Make a kernel ready for guests, if it is not. One for debugging is not built by the way. */
export async function prepareGuest(name: KernelName, debug = false): Promise<GuestKernel> {
  if (debug) return prepareDebugGuest(name);
  const ready = isUpToDate(kernelStep(name)) && isUpToDate(initramfsStep(findKernel(name)));
  if (ready) return findKernel(name);
  return withBuildLock(async () => {
    await fetchKernel(name);
    const kernel = findKernel(name);
    await buildInitramfs(kernel);
    return kernel;
  });
}

async function prepareDebugGuest(name: KernelName): Promise<GuestKernel> {
  const kernel = findDebugKernel(name);
  if (!isUpToDate(initramfsStep(kernel))) await withBuildLock(() => buildInitramfs(kernel));
  return kernel;
}
