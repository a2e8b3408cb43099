import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { withBuildLock } from '../../src/base/build-lock.js';
import { buildDir, root } from '../../src/base/paths.js';

const sources = join(root, 'test/libmegapipe');

/** Exit status by which a program says that it can't tell here; its last line has the reason. */
export const exitSkipped = 77;

/** The behaviours under test, a C program each. */
export const programs = readdirSync(sources)
  .filter((file) => file.endsWith('.c'))
  .map((file) => file.slice(0, -2))
  .filter((name) => name !== 'trace');

/** A way to build library and programs, and the seeds of random programs to compare in it. */
export type Build = {
  build: string;
  flags: string[];
  libraryDir: string;
  testDir: string;
  seeds: number[];
};

/** Numbers from first to last, both included. */
function numbers(first: number, last: number) {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** The builds that are tested: the first as users have it, the second with sanitizers. */
export const builds: [Build, Build] = [
  {
    build: 'plain',
    flags: [],
    libraryDir: join(buildDir, 'libmegapipe'),
    testDir: join(buildDir, 'test/libmegapipe'),
    seeds: numbers(1, 40),
  },
  {
    build: 'sanitized',
    flags: ['SANITIZE=1'],
    libraryDir: join(buildDir, 'libmegapipe-sanitize'),
    testDir: join(buildDir, 'test/libmegapipe-sanitize'),
    seeds: numbers(41, 50),
  },
];

/** Run make in a folder. */
export async function make(dir: string, ...settings: string[]) {
  await execa('make', ['-s', '-j2', '-C', dir, 'WERROR=1', ...settings], { all: true });
}

/** The library and all programs; those for guests are built at the same time, in the same place. */
export async function buildAll({ libraryDir, testDir, flags }: Build) {
  await withBuildLock(async () => {
    await make(join(root, 'libmegapipe'), `O=${libraryDir}`, ...flags);
    await make(sources, `O=${testDir}`, `LIBRARY=${libraryDir}`, ...flags);
  });
}
