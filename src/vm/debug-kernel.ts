import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import { root } from '../base/paths.js';
import { isUpToDate, runStep, type Step } from '../base/stamp.js';
import { runTool } from '../base/tool.js';
import { unpackPackages, withFreshLists } from '../debian/install.js';
import { type GuestKernel, type KernelName, vmDir } from './kernel.js';

/** What the kernel has; its comments say why. */
const configuration = join(root, 'test/vm/debug-kernel.config');

const folderOf = (name: KernelName) => join(vmDir, 'debug-kernel', name);

const treeOf = (name: KernelName) => join(folderOf(name), `linux-source-${name}`);

/** Not the ELF file, which qemu would start where KASAN has no shadow yet. */
const imageOf = (name: KernelName) => join(treeOf(name), 'arch/x86/boot/bzImage');

/** Building a kernel that looks for mistakes, from Debian's source of the series. */
export function debugKernelStep(name: KernelName): Step {
  return { stamp: `${folderOf(name)}.stamp`, inputs: [configuration], outputs: [imageOf(name)] };
}

/** Build it unless it is up to date, which takes half an hour of two CPUs; true if it was not. */
export function buildDebugKernel(name: KernelName): Promise<boolean> {
  return runStep(debugKernelStep(name), async () => {
    if (!existsSync(join(treeOf(name), 'Makefile'))) await unpackSource(name);
    await configure(name);
    const jobs = `-j${availableParallelism()}`;
    await make(name, `build kernel ${name} for debugging`, ['nice', 'make', jobs, 'bzImage', 'modules']);
  });
}

/** The kernel, if it was built. */
export function findDebugKernel(name: KernelName): GuestKernel {
  if (!isUpToDate(debugKernelStep(name))) {
    throw new UserError(`the debug kernel ${name} is not built`, {
      hint: `it takes half an hour: npx megapipe vm --debug-kernel --kernel ${name} -- true`,
    });
  }
  const tree = treeOf(name);
  const release = readFileSync(join(tree, 'include/config/kernel.release'), 'utf8').trim();
  // It has neither jump labels nor tracing, so it doesn't patch its text.
  return { release, tree, image: imageOf(name), parallel: true };
}

async function unpackSource(name: KernelName): Promise<void> {
  const folder = folderOf(name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const unpacked = join(folder, 'package');
  await withFreshLists(() => unpackPackages([`linux-source-${name}`], unpacked));
  const tarball = join(unpacked, 'usr/src', `linux-source-${name}.tar.xz`);
  await runTool(`unpack the source of kernel ${name}`, ['tar', '-xJf', tarball, '-C', folder]);
  rmSync(unpacked, { recursive: true });
}

/** All that is not asked for is off. What is asked for and not to be had would be off in silence: so it is an error. */
async function configure(name: KernelName): Promise<void> {
  await make(name, `configure kernel ${name}`, ['make', 'allnoconfig', `KCONFIG_ALLCONFIG=${configuration}`]);
  const got = readFileSync(join(treeOf(name), '.config'), 'utf8').split('\n');
  const wanted = readFileSync(configuration, 'utf8').split('\n');
  const lost = wanted.filter((line) => /^CONFIG_\w+=(?!n$)/.test(line) && !got.includes(line));
  if (lost.length === 0) return;
  throw new UserError(`kernel ${name} cannot have ${lost.join(', ')}`, { hint: `correct ${configuration}` });
}

function make(name: KernelName, what: string, command: string[]): Promise<string> {
  return runTool(what, command, { cwd: treeOf(name) });
}
