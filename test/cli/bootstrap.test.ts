import {
  chmodSync,
  chownSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa, type Options } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import { nobody, whyNotAsNobody } from '../nobody.js';
import { testUnless } from '../skip.js';

/** A clone of the project without its native parts, with the npm packages of this one. */
function clone(): string {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-clone-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const part of [
    'src',
    'loadgen',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    '.npmrc',
  ]) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  mkdirSync(join(folder, 'ports'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  chmodSync(folder, 0o755);
  return folder;
}

function start(folder: string, args: string[], options: Options = {}) {
  const command = [join(folder, 'src/bootstrap.js'), ...args];
  return execa(process.execPath, command, {
    cwd: folder,
    reject: false,
    stdin: 'ignore',
    timeout: 330_000,
    ...options,
  });
}

/** A folder of commands to put before the real ones. */
function commands(folder: string, scripts: Record<string, string>): string {
  const path = join(folder, 'commands');
  mkdirSync(path);
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return path;
}

test('TypeScript is compiled once, and again when it changed', async () => {
  const folder = clone();
  expect((await start(folder, ['--help'])).stderr).toBe('megapipe: compiling TypeScript');
  expect((await start(folder, ['--help'])).stderr).toBe('');
  writeFileSync(join(folder, 'src/added.ts'), 'export const added = 1;\n');
  expect((await start(folder, ['--help'])).stderr).toBe('megapipe: compiling TypeScript');
});

test('a folder with a blank in its name is refused at once, in a sentence', async () => {
  const folder = join(clone(), 'with blank');
  mkdirSync(join(folder, 'src'), { recursive: true });
  for (const file of ['src/bootstrap.js', 'package.json']) cpSync(join(root, file), join(folder, file));
  const { stderr, exitCode } = await start(folder, ['--help']);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^megapipe: there is a blank in the name of the folder ".*with blank".*without$/);
});

test('make says so, too', async () => {
  const folder = join(clone(), 'with blank');
  mkdirSync(folder);
  cpSync(join(root, 'libmegapipe/Makefile'), join(folder, 'Makefile'));
  const { stderr, exitCode } = await execa('make', ['-C', folder], { reject: false });
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/^Makefile:\d+: \*\*\* make can't build in a folder with a blank .*\.$/m);
  expect(stderr.split('\n').length).toBeLessThan(3);
});

test('the format of our C is checked without git, too', async () => {
  const folder = clone();
  for (const part of ['libmegapipe', 'kernel', 'test']) mkdirSync(join(folder, part));
  writeFileSync(join(folder, 'libmegapipe/ugly.c'), 'int   x ;\n');
  const check = ['run', '--silent', 'format:c', '--', '--dry-run', '-Werror'];
  const { stderr, exitCode } = await execa('npm', check, { cwd: folder, reject: false });
  expect(exitCode).not.toBe(0);
  expect(stderr).toContain('ugly.c');
});

test('TypeScript that does not compile stops it, with the compiler’s words', async () => {
  const folder = clone();
  writeFileSync(join(folder, 'src/added.ts'), 'export const = ;\n');
  const { stderr, exitCode } = await start(folder, ['--help']);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('src/added.ts');
  expect((await start(folder, ['--help'])).exitCode).toBe(1);
});

test('missing npm packages are installed before anything else', async () => {
  const folder = clone();
  rmSync(join(folder, 'node_modules'));
  const path = commands(folder, {
    npm: `echo "npm $@" > npm-was-asked; ln -s ${root}/node_modules node_modules`,
  });
  const { stderr, exitCode } = await start(folder, ['--help'], {
    env: { PATH: `${path}:${process.env.PATH}` },
  });
  expect(stderr).toContain('installing the npm packages');
  expect(exitCode).toBe(0);
  expect(readFileSync(join(folder, 'npm-was-asked'), 'utf8')).toMatch(/^npm ci\b/);
});

test('the lock file lists every optional package: npm ci refuses it otherwise', () => {
  type Package = { optionalDependencies?: Record<string, string> };
  const lockfile = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const packages: Record<string, Package> = lockfile.packages;
  for (const [path, { optionalDependencies = {} }] of Object.entries(packages)) {
    for (const name of Object.keys(optionalDependencies)) {
      const places = [`node_modules/${name}`, `${path}/node_modules/${name}`];
      expect(
        places.some((place) => place in packages),
        `${name}, which ${path} names`,
      ).toBe(true);
    }
  }
});

test('a lock file that wants another version than is installed has npm called', async () => {
  const folder = clone();
  const lockfile = join(folder, 'package-lock.json');
  writeFileSync(
    lockfile,
    readFileSync(lockfile, 'utf8').replace(/("node_modules\/execa": \{\s+"version": ")[^"]+/, '$10.0.1'),
  );
  const path = commands(folder, { npm: 'echo no network >&2; exit 7' });
  const { stderr, exitCode } = await start(folder, ['--help'], {
    env: { PATH: `${path}:${process.env.PATH}` },
  });
  expect(exitCode).toBe(1);
  expect(stderr).toContain('no network');
  expect(stderr).toContain('npm ci');
});

test('a Node.js that is too old is refused with both versions', async () => {
  const folder = clone();
  const manifest = join(folder, 'package.json');
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"node": ">=[^"]+"/, '"node": ">=99.1"'));
  const { stderr, exitCode } = await start(folder, ['--help']);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(process.versions.node);
  expect(stderr).toContain('>=99.1');
});

test('where there is no apt, the set-up says what it would install and stops', async () => {
  const folder = clone();
  const { stderr, exitCode } = await start(folder, ['setup'], { env: { PATH: commands(folder, {}) } });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/apt-get install -y .*\blibc6-dev\b/);
});

testUnless(whyNotAsNobody())('without root, the set-up prints the line to run and stops', async () => {
  const folder = clone();
  const path = commands(folder, { 'dpkg-query': 'echo "installed gcc, "' });
  giveAway(folder);
  const { stderr, exitCode } = await start(folder, ['setup', '--for', 'lint'], {
    uid: nobody,
    gid: nobody,
    env: { PATH: `${path}:${process.env.PATH}`, HOME: folder },
  });
  expect(stderr).toMatch(/run: sudo apt-get install -y --no-install-recommends clang-format$/m);
  expect(exitCode).toBe(1);
});

testUnless(process.getuid?.() === 0 ? undefined : 'needs root')(
  'as root, what is missing is installed by one command, after one refresh of the lists',
  async () => {
    const folder = clone();
    const refusesOnce =
      'echo "$@" >> asked; case "$*" in *install*) [ -e refreshed ] || exit 100 ;; *update*) : > refreshed ;; esac';
    const path = commands(folder, {
      'dpkg-query': 'echo "installed gcc, "',
      'apt-get': refusesOnce,
    });
    const { exitCode } = await start(folder, ['setup', '--for', 'lint'], {
      env: { PATH: `${path}:${process.env.PATH}` },
    });
    expect(exitCode).toBe(0);
    const asked = readFileSync(join(folder, 'asked'), 'utf8').trim().split('\n');
    expect(asked.map((line) => /\b(install|update)\b/.exec(line)?.[0])).toEqual([
      'install',
      'update',
      'install',
    ]);
    expect(asked[2]).toMatch(/install -y --no-install-recommends clang-format$/);
  },
);

function giveAway(path: string): void {
  if (lstatSync(path).isSymbolicLink()) return;
  chownSync(path, nobody, nobody);
  if (statSync(path).isDirectory()) for (const name of readdirSync(path)) giveAway(join(path, name));
}
