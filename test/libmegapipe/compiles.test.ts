import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa, execaSync } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import { unpackPackageOf } from '../../src/debian/source.js';
import { testUnless } from '../skip.js';
import { exitSkipped, make } from './builds.js';

const library = join(root, 'libmegapipe');
const sources = readdirSync(library)
  .filter((file) => file.endsWith('.c'))
  .map((file) => join(library, file));

/** Compilers by the names that Debian's packages give them. */
const versions = { gcc: [12, 13, 14, 15], clang: [14, 15, 16, 17, 18, 19] };
const compilers = Object.entries(versions).flatMap(([name, all]) =>
  all.map((version) => `${name}-${version}`),
);

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'megapipe-headers-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Check all sources, with warnings as errors; headers is a folder that is looked into before the system's. */
async function check(compiler: string, headers?: string) {
  const { stdout: machine } = await execa(compiler, ['-print-multiarch'], { reject: false });
  const folders = headers ? [headers, join(headers, machine || 'x86_64-linux-gnu')] : [];
  const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-fsyntax-only'];
  const include = folders.flatMap((folder) => ['-isystem', folder]);
  const { exitCode, all } = await execa(compiler, [...flags, ...include, ...sources], {
    reject: false,
    all: true,
  });
  expect(exitCode, all).toBe(0);
}

describe('libmegapipe compiles with the kernel headers of', () => {
  test.for(['bookworm', 'trixie', 'sid'])('Debian’s %s', async (release, { skip }) => {
    const folder = join(scratch, release);
    const failed = await unpackPackageOf(release, 'linux-libc-dev', folder).catch((error: Error) => error);
    if (failed) skip(`no linux-libc-dev of ${release}: ${failed.message}`);
    await check('cc', join(folder, 'usr/include'));
  });

  // It lacks types that stable releases of 6.1 got later.
  test('Linux 6.1 as it was released', async () => {
    const headers = join(scratch, 'early');
    await cp('/usr/include/linux', join(headers, 'linux'), { recursive: true });
    const types = join(headers, 'linux/types.h');
    writeFileSync(types, readFileSync(types, 'utf8').replace(/^#define __aligned_s64.*$/m, ''));
    await check('cc', headers);
  });
});

describe('libmegapipe compiles with', () => {
  for (const compiler of compilers) {
    const { failed } = execaSync(compiler, ['--version'], { reject: false });
    testUnless(failed ? `no ${compiler} is installed` : undefined)(compiler, () => check(compiler));
  }
});

describe('libmegapipe without optimisation', () => {
  // The compiler then lays a stack out otherwise: what the kernel gets the address of must be aligned by itself.
  test('asks for the options of sockets without an fd', async ({ skip }) => {
    const built = join(scratch, 'plain');
    const program = join(scratch, 'programs/lwsocket-options');
    await make(library, `O=${built}`, 'CFLAGS=-O0 -g');
    await make(join(root, 'test/libmegapipe'), `O=${join(scratch, 'programs')}`, `LIBRARY=${built}`, program);
    const { exitCode, all, stdout } = await execa(program, ['uring'], {
      reject: false,
      all: true,
      timeout: 60_000,
    });
    if (exitCode === exitSkipped) skip(stdout.trimEnd().split('\n').at(-1));
    expect(exitCode, all).toBe(0);
  });
});
