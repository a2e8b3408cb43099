import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { root } from '../../src/base/paths.js';
import type { GuestKernel } from '../../src/vm/kernel.js';

/** What the module does wrong. */
export type Mood = 'good' | 'refuses' | 'warns' | 'uses-freed' | 'leaks' | 'locks';

/** Build a module that makes a mistake; its parameter `mood` says which. */
export async function buildMoodyModule({ tree, release }: GuestKernel, below: string): Promise<string> {
  const folder = join(below, release);
  mkdirSync(folder);
  copyFileSync(join(root, 'test/vm/moody-module.c'), join(folder, 'moody-module.c'));
  writeFileSync(join(folder, 'Kbuild'), 'obj-m := moody-module.o\n');
  await execa('make', ['-C', tree, `M=${folder}`, 'modules']);
  return join(folder, 'moody-module.ko');
}
