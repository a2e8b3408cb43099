import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildDir, root } from '../base/paths.js';
import { runStep, type Step } from '../base/stamp.js';
import { outcomeOf, type Task } from '../base/tasks.js';
import { runTool } from '../base/tool.js';
import { findKernel, type GuestKernel, type KernelName, whyNotThisMachine } from './kernel.js';

/** Where the kernel module's sources are. */
const moduleSources = join(root, 'kernel');

/** Building the kernel module for a kernel. */
export function moduleStep({ release, tree }: GuestKernel): Step {
  const product = join(buildDir, 'kernel', release, 'megapipe.ko');
  const files = readdirSync(moduleSources, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((name) => /(\.[ch]|Kbuild|Makefile)$/.test(name)).sort();
  return {
    stamp: `${product}.stamp`,
    inputs: [...sources.map((name) => join(moduleSources, name)), join(tree, 'Module.symvers')],
    parameters: { tree },
    outputs: [product],
  };
}

/** The kernel module, for a kernel that guests run. */
export function moduleTask(name: KernelName, find: (name: KernelName) => GuestKernel = findKernel): Task {
  const run = async () => {
    const skipped = whyNotThisMachine();
    if (skipped) return { skipped };
    const kernel = find(name);
    const settings = [`KERNEL_RELEASE=${kernel.release}`, `KERNEL_BUILD=${kernel.tree}`];
    const make = ['make', '-C', moduleSources, ...settings];
    return outcomeOf(
      await runStep(moduleStep(kernel), () => runTool(`compile the module for ${name}`, make)),
    );
  };
  return { title: `kernel module for ${name}`, run };
}
