import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import { readPortFile } from '../../src/port/file.js';
import { usualVersion } from '../../src/port/version.js';
import { megapipe } from '../megapipe.js';
import { makePort, writePortFile } from './fixture.js';

const sumOf = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

// Insertions without context: only the line numbers place them.
const fix = `Subject: [PATCH] hello: mend what is broken today

--- a/hello.c
+++ b/hello.c
@@ -4,0 +5 @@
+	puts("mended");
`;
const hook = `Subject: [PATCH] hello: say another thing over MegaPipe

--- a/hello.c
+++ b/hello.c
@@ -5,0 +6,3 @@
+#ifdef MEGAPIPE
+	puts("old hook");
+#else
@@ -6,0 +10 @@
+#endif
`;

/** Of both versions. */
const shared = `Subject: [PATCH] hello: say one thing more

--- a/hello.c
+++ b/hello.c
@@ -9,4 +9,5 @@
 	puts("plain");
 #endif
+	puts("shared");
 	return 0;
 }
`;

/** The fixture's port with a version 0.9, of the same source. */
async function makeOldVersion(more: object = {}) {
  const fixture = await makePort();
  const patches = join(fixture.port, 'patches-0.9');
  mkdirSync(join(patches, 'fixes'), { recursive: true });
  writeFileSync(join(patches, 'fixes/0001-mend.patch'), fix);
  writeFileSync(join(patches, '0001-hook.patch'), hook);
  const preImages = join(patches, 'pre-images.sha256');
  writeFileSync(preImages, `${sumOf(join(fixture.tree, 'hello.c'))}  hello.c\n`);
  const upstream = { url: 'http://127.0.0.1:1/hello-0.9.tar.gz', sha256: fixture.sum };
  const versions = { '0.9': { upstream, patches: ['patches-0.9'], ...more } };
  writePortFile(fixture.port, fixture.sum, { versions });
  const binary = (variant: string) => join(fixture.output, 'hello-0.9', variant, 'hello');
  const says = async (variant: string) => (await execa(binary(variant))).stdout;
  const build = (...args: string[]) =>
    megapipe(['build', fixture.port, '--output', fixture.output, '--version', '0.9', ...args]);
  return { ...fixture, preImages, says, build };
}

test('another version is built in a folder of its own, with its own patches', async () => {
  const port = await makeOldVersion();
  const { exitCode, stdout } = await port.build('--source', port.tarball);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('hello 0.9');
  expect(await port.says('baseline')).toBe('mended\nplain');
  expect(await port.says('megapipe')).toBe('mended\nold hook');
  expect(existsSync(join(port.output, 'hello'))).toBe(false);
});

test('what fixes an old version for today is not counted as changed by the port', async () => {
  const port = await makeOldVersion();
  await port.build('--source', port.tree);
  const lines = JSON.parse(readFileSync(join(port.output, 'hello-0.9/lines.json'), 'utf8'));
  expect(lines).toMatchObject({ application: 6, changed: 4 });
});

test('its configure arguments and compiler flags are its own', async () => {
  const compilerFlags = ['-DODD="1 2"'];
  const port = await makeOldVersion({ configure: ['--odd'], compilerFlags });
  writeFileSync(
    join(port.tree, 'configure'),
    '#!/bin/sh\necho "$*" > given\necho "hello: hello.c; cc -o hello hello.c" > Makefile\n',
  );
  await port.build('--source', port.tree, '--variant', 'baseline');
  const given = readFileSync(join(port.output, 'hello-0.9/baseline/given'), 'utf8');
  expect(given).toBe('--odd CFLAGS=-g -O2 -DODD="1 2"\n');
});

test('without a source it is its makers’ tarball, checked as any', async () => {
  const port = await makeOldVersion();
  const { stderr, exitCode } = await port.build();
  expect(exitCode).toBe(1);
  expect(stderr).toContain('http://127.0.0.1:1/hello-0.9.tar.gz');
  expect(stderr).toContain('--source');
  expect(stderr).not.toContain('distribution');
});

test('a file that the patches are not for is refused by its name and both sums', async () => {
  const port = await makeOldVersion();
  const source = join(port.tree, 'hello.c');
  const before = sumOf(source);
  writeFileSync(source, readFileSync(source, 'utf8').replace('plain', 'other'));
  const { stderr, exitCode } = await port.build('--source', port.tree);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^megapipe: hello\.c is not that of hello 0\.9/m);
  expect(stderr).toContain(before);
  expect(stderr).toContain(sumOf(source));
  expect(existsSync(join(port.output, 'hello-0.9/tree'))).toBe(false);
});

test('a file that the patches are for and that is missing is named', async () => {
  const port = await makeOldVersion();
  rmSync(join(port.tree, 'hello.c'));
  const { stderr, exitCode } = await port.build('--source', port.tree);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/hello\.c is not that of hello 0\.9: it is not there/);
});

test('a patch of a file whose sum is not known is refused', async () => {
  const port = await makeOldVersion();
  writeFileSync(port.preImages, '');
  const { stderr, exitCode } = await port.build('--source', port.tree);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/hello\.c, whose sum pre-images\.sha256 does not have/);
});

test('a version that the port does not have is an error that names those it has', async () => {
  const port = await makeOldVersion();
  const args = ['build', port.port, '--output', port.output, '--version', '0.8'];
  const { stderr, exitCode } = await megapipe(args);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(
    /^megapipe: the port of hello has no version 0\.8; it has: 1\.0, 0\.9; or what a release of Debian has/m,
  );
});

test('of each number a patch is taken from the first of several folders that has it', async () => {
  const port = await makeOldVersion({ patches: ['patches-0.9', 'patches'] });
  writeFileSync(join(port.port, 'patches/0002-second.patch'), shared);
  await port.build('--source', port.tree);
  expect(await port.says('megapipe')).toBe('mended\nold hook\nshared');
});

test('a release of Debian has its own version where none is named, and others have the port’s', async () => {
  const debian = { package: 'hello', release: 'trixie', file: 'hello.tar', sha256: '0'.repeat(64) };
  const { port } = await makeOldVersion({ debian });
  const file = readPortFile(join(port, 'port.json'));
  expect(usualVersion(file, 'trixie')).toBe('0.9');
  expect(usualVersion(file, 'bookworm')).toBe('1.0');
  expect(usualVersion(file, undefined)).toBe('1.0');
});

test('what its makers generate is added to a tree that lacks it, and left alone where it is', async () => {
  const generated = { 'version.m4': 'm4_define([OURS])\n', 'hello.c': 'not this' };
  const port = await makeOldVersion({ generated });
  await port.build('--source', port.tree);
  expect(await port.says('baseline')).toBe('mended\nplain');
  const added = readFileSync(join(port.output, 'hello-0.9/baseline/version.m4'), 'utf8');
  expect(added).toBe(generated['version.m4']);
});

test('its own files are those that it names, from folders too', async () => {
  const port = await makeOldVersion({ sources: ['mc_shared.c', 'own-0.9/mc_own.h'] });
  mkdirSync(join(port.port, 'own-0.9'));
  const sources = { 'mc_shared.c': 'int shared;\n', 'mc_newer.c': 'int newer;\n', 'own-0.9/mc_own.h': '' };
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(port.port, name), text);
  await port.build('--source', port.tree);
  const built = (name: string) => existsSync(join(port.output, 'hello-0.9/megapipe', name));
  expect(['mc_shared.c', 'mc_own.h', 'mc_newer.c'].map(built)).toEqual([true, true, false]);
  const lines = JSON.parse(readFileSync(join(port.output, 'hello-0.9/lines.json'), 'utf8'));
  expect(lines).toMatchObject({ own: 1 });
});

test('patches for releases that we have only read insert, and quote nothing of them', () => {
  const folder = join(root, 'ports');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const only = files.filter((name) => name.endsWith('/pre-images.sha256')).map((name) => dirname(name));
  const patches = files.filter(
    (name) => only.some((one) => name.startsWith(`${one}/`)) && name.endsWith('.patch'),
  );
  expect(patches.length).toBeGreaterThan(8);
  for (const file of patches) {
    const [, ...hunks] = readFileSync(join(folder, file), 'utf8').split(/^(?=@@)/m);
    const lines = hunks.flatMap((hunk) => hunk.split('\n')).filter((line) => line !== '');
    const others = lines.filter((line) => !/^(\+|--- a\/|@@ -\d+,0 \+\d+(,\d+)? @@$)/.test(line));
    expect({ file, others }).toEqual({ file, others: [] });
  }
});
