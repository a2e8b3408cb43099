import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { root } from '../base/paths.js';
import { runStep, type Step } from '../base/stamp.js';
import { runTool } from '../base/tool.js';
import { type GuestKernel, vmDir } from './kernel.js';

/**
 * What the guest's first process needs before it has a root, and fuse, for tests, since nothing is loaded later. Some
 * kernels have some of them built in.
 */
const drivers = ['virtio_mmio', 'virtio_pci', 'virtio_console', '9p', '9pnet_virtio', 'overlay', 'fuse'];

const initSource = join(root, 'test/vm/init.c');

const compile = ['gcc', '-std=c11', '-O2', '-Wall', '-Wextra', '-static', initSource];

/** The file system that a kernel starts with: the guest's first process, and drivers. */
export function initramfsFile({ release }: GuestKernel): string {
  return join(vmDir, 'initramfs', `${release}.cpio`);
}

/** Making a kernel's initramfs. */
export function initramfsStep(kernel: GuestKernel): Step {
  const file = initramfsFile(kernel);
  return { stamp: `${file}.stamp`, inputs: [initSource], parameters: { drivers, compile }, outputs: [file] };
}

/** Make a kernel's initramfs unless it is up to date; true if it was not. */
export function buildInitramfs(kernel: GuestKernel): Promise<boolean> {
  return runStep(initramfsStep(kernel), async () => {
    const file = initramfsFile(kernel);
    const folder = file.replace(/\.cpio$/, '');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, 'modules'), { recursive: true });
    await runTool('compile the init of guests', [...compile, '-o', join(folder, 'init')]);
    await copyDrivers(kernel, join(folder, 'modules'));
    // Not compressed: an emulated CPU would take longer to unpack it than to read it.
    const pack = `find . | cpio --quiet --create --format=newc --owner=0:0 > "$FILE"`;
    await runTool('pack the initramfs of guests', ['sh', '-c', pack], { cwd: folder, env: { FILE: file } });
    rmSync(folder, { recursive: true });
  });
}

/** Drivers and what they need, with a list that says in which order they are to be loaded. */
async function copyDrivers({ modules }: GuestKernel, to: string): Promise<void> {
  const files = modules ? inLoadingOrder(readFileSync(join(modules, 'modules.dep'), 'utf8')) : [];
  const names = files.map((file) => basename(file, '.xz'));
  for (const file of files) await copyModule(join(modules ?? '', file), to);
  writeFileSync(join(to, 'order'), names.map((name) => `${name}\n`).join(''));
}

/** @param dependencies modules.dep: a line a module, with what it needs after it, the first to load last */
function inLoadingOrder(dependencies: string): string[] {
  const lines = dependencies.split('\n').map((line) => line.split(/:? /));
  const wanted = drivers.flatMap((name) => {
    const line = lines.find(([file = '']) => basename(file).replace(/[.:].*/, '') === name);
    return (line ?? []).filter(Boolean).reverse();
  });
  return [...new Set(wanted.map((file) => file.replace(/:$/, '')))];
}

async function copyModule(file: string, folder: string): Promise<void> {
  const to = join(folder, basename(file, '.xz'));
  if (!file.endsWith('.xz')) return copyFileSync(file, to);
  const unpacked = await execa('xz', ['--decompress', '--stdout', file], { encoding: 'buffer' });
  writeFileSync(to, unpacked.stdout);
}
