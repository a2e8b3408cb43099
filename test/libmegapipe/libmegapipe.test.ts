import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import { type Build, buildAll, builds, exitSkipped, make, programs } from './builds.js';

const header = join(root, 'libmegapipe/megapipe.h');
/* Engine kernel is tested where its module is: in guests, see guest.test.ts. */
const engines = ['epoll', 'uring'];

const installedProgram = `
#include <megapipe.h>
#include <stdio.h>
int main(void)
{
	struct mp_options options = { .size = sizeof(options), .engine = "epoll" };
	struct mp_channel *ch;

	if (mp_create(&options, &ch))
		return 1;
	puts(mp_engine_name(ch));
	mp_destroy(ch);
	return 0;
}
`;

let scratch: string;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'megapipe-'));
  for (const build of builds) await buildAll(build);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function runProgram(path: string, args: string[]) {
  const env = { TMPDIR: scratch, ASAN_OPTIONS: 'detect_leaks=1', UBSAN_OPTIONS: 'print_stacktrace=1' };
  return execa(path, args, { env, reject: false, timeout: 330_000, all: true });
}

/** The names that megapipe.h declares, comments aside. */
function declaredFunctions() {
  const code = readFileSync(header, 'utf8').replace(/\/\*.*?\*\//gs, '');
  return [...code.matchAll(/\b(mp_\w+)\(/g)].map((match) => match[1] ?? '').sort();
}

/** Functions that a program can link to; those of a shared library have a version behind an @. */
async function exportedFunctions(library: string) {
  const table = library.endsWith('.so') ? '-D' : '-g';
  const { stdout } = await execa('nm', [table, '--defined-only', '--format=posix', library]);
  const symbols = stdout.split('\n').map((line) => line.split(' '));
  return symbols
    .filter(([, type]) => /^[B-Z]$/.test(type ?? ''))
    .map(([name]) => name?.split('@')[0])
    .sort();
}

for (const build of builds) {
  describe(`libmegapipe, ${build.build} build`, () => {
    for (const engine of engines) {
      test.for(programs)(`${engine}: %s`, async (program, { skip }) => {
        const { exitCode, stdout, all } = await runProgram(join(build.testDir, program), [engine]);
        if (exitCode === exitSkipped) skip(stdout.trimEnd().split('\n').at(-1));
        expect(exitCode, all).toBe(0);
      });
    }
  });
}

describe('a random program of operations', () => {
  async function traceOf(build: Build, engine: string, seed: number) {
    const { exitCode, stdout, all } = await runProgram(join(build.testDir, 'trace'), [engine, `${seed}`]);
    if (exitCode === exitSkipped) return undefined;
    expect(exitCode, all).toBe(0);
    return stdout;
  }

  for (const build of builds) {
    test.for(build.seeds)(
      `has equal traces on all engines, ${build.build} build, seed %i`,
      async (seed, { skip }) => {
        const [expected, ...others] = await Promise.all(
          engines.map((engine) => traceOf(build, engine, seed)),
        );
        for (const trace of others) {
          if (trace === undefined) skip('one of the engines is missing');
          expect(trace).toBe(expected);
        }
      },
    );
  }

  test('has another trace by another seed, so that comparing says something', async () => {
    const [one, other] = await Promise.all([1, 2].map((seed) => traceOf(builds[0], 'epoll', seed)));
    expect(one?.split('\n').length).toBeGreaterThan(50);
    expect(other).not.toBe(one);
  });
});

describe('libmegapipe as others use it', () => {
  const [{ libraryDir }] = builds;

  for (const { build, libraryDir } of builds) {
    test.for(['libmegapipe.so', 'libmegapipe.a'])(
      `exports the functions of megapipe.h and nothing else, ${build} build, %s`,
      async (library) => {
        const declared = declaredFunctions();
        expect(declared).toContain('mp_dispatch');
        expect(await exportedFunctions(join(libraryDir, library))).toEqual(declared);
      },
    );
  }

  test('has a header that C++ and strict C take', async () => {
    const warnings = ['-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only'];
    const program = `#include "megapipe.h"\nint main() { return mp_create(0, 0) != -22; }\n`;
    for (const [file, standard] of [
      ['user.cc', 'c++11'],
      ['user.cc', 'c++20'],
      ['user.c', 'gnu11'],
    ] as const) {
      writeFileSync(join(scratch, file), program);
      const compiler = file.endsWith('.cc') ? 'c++' : 'cc';
      await execa(compiler, [
        `-std=${standard}`,
        ...warnings,
        `-I${join(root, 'libmegapipe')}`,
        join(scratch, file),
      ]);
    }
  });

  test('is found by pkg-config once installed, shared and static', async () => {
    const stage = join(scratch, 'stage');
    await make(
      join(root, 'libmegapipe'),
      `O=${libraryDir}`,
      'install',
      `DESTDIR=${stage}`,
      'PREFIX=/usr/local',
    );
    const env = {
      PKG_CONFIG_LIBDIR: join(stage, 'usr/local/lib/pkgconfig'),
      PKG_CONFIG_SYSROOT_DIR: stage,
      LD_LIBRARY_PATH: join(stage, 'usr/local/lib'),
    };
    const source = join(scratch, 'installed.c');
    writeFileSync(source, installedProgram);
    for (const [name, kind] of [
      ['shared', []],
      ['static', ['--static']],
    ] as const) {
      const { stdout: flags } = await execa('pkg-config', [...kind, '--cflags', '--libs', 'megapipe'], {
        env,
      });
      const program = join(scratch, name);
      await execa('cc', [
        '-o',
        program,
        source,
        ...kind.map((flag) => `-${flag.slice(2)}`),
        ...flags.trim().split(/\s+/),
      ]);
      const { stdout } = await execa(program, { env });
      expect(stdout).toBe('epoll');
    }
  });

  test('is versioned the same in header, pkg-config and soname', async () => {
    const version = /MP_VERSION "(.*)"/.exec(readFileSync(header, 'utf8'))?.[1];
    const env = { PKG_CONFIG_LIBDIR: libraryDir };
    const { stdout } = await execa('pkg-config', ['--modversion', 'megapipe'], { env });
    expect(stdout).toBe(version);
    expect(readdirSync(libraryDir)).toContain(`libmegapipe.so.${version}`);
    const minor = /^0\.\d+|^\d+/.exec(version ?? '')?.[0];
    const { stdout: dynamic } = await execa('readelf', ['-d', join(libraryDir, 'libmegapipe.so')]);
    expect(dynamic).toContain(`soname: [libmegapipe.so.${minor}]`);
    const { stdout: versions } = await execa('nm', ['-D', join(libraryDir, 'libmegapipe.so')]);
    expect(versions.split('\n').some((line) => line.endsWith(` mp_create@@MEGAPIPE_${minor}`))).toBe(true);
  });
});
