import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { withBuildLock } from '../../src/base/build-lock.js';
import { root } from '../../src/base/paths.js';
import { megapipe } from '../megapipe.js';
import { nobody, whyNotAsNobody } from '../nobody.js';
import { testUnless } from '../skip.js';
import { makePort, writePortFile } from './fixture.js';

type Fixture = Awaited<ReturnType<typeof makePort>>;

function build(fixture: Fixture, ...more: string[]) {
  const source = more.includes('--source') ? [] : ['--source', fixture.tarball];
  return megapipe(['build', fixture.port, '--output', fixture.output, ...source, ...more]);
}

function binary(fixture: Fixture, variant: string): string {
  return join(fixture.output, 'hello', variant, 'hello');
}

async function says(fixture: Fixture, variant: string): Promise<string> {
  return (await execa(binary(fixture, variant))).stdout;
}

test('one patched tree gives both variants, ours with the port’s switch and files', async () => {
  const fixture = await makePort();
  const { exitCode } = await build(fixture);
  expect(exitCode).toBe(0);
  expect(await says(fixture, 'baseline')).toBe('plain');
  expect(await says(fixture, 'megapipe')).toBe('plain\nhooked\nours');
  const [baseline, ported] = ['baseline', 'megapipe'].map((variant) =>
    readFileSync(join(fixture.output, 'hello', variant, 'hello.c'), 'utf8'),
  );
  expect(ported).toBe(baseline);
});

test('what is up to date is not built again', async () => {
  const fixture = await makePort();
  await build(fixture);
  const before = statSync(binary(fixture, 'megapipe')).mtimeMs;
  const { stdout, exitCode } = await build(fixture);
  expect(exitCode).toBe(0);
  expect(stdout.match(/up to date/g)).toHaveLength(5);
  expect(statSync(binary(fixture, 'megapipe')).mtimeMs).toBe(before);
});

test('a changed patch makes the tree and both variants anew', async () => {
  const fixture = await makePort();
  await build(fixture);
  const patch = join(fixture.port, 'patches/0001-hook.patch');
  writeFileSync(patch, readFileSync(patch, 'utf8').replace('"hooked"', '"caught"'));
  const second = join(fixture.port, 'patches/0002-second.patch');
  writeFileSync(second, readFileSync(second, 'utf8').replace('"hooked"', '"caught"'));
  expect((await build(fixture)).exitCode).toBe(0);
  expect(await says(fixture, 'megapipe')).toBe('plain\ncaught\nours');
});

test('other configure arguments configure anew', async () => {
  const fixture = await makePort();
  await build(fixture);
  writePortFile(fixture.port, fixture.sum, { megapipe: [] });
  expect((await build(fixture)).exitCode).toBe(0);
  expect(await says(fixture, 'megapipe')).toBe('plain');
});

test('an unpacked tree will do, and is left as it was', async () => {
  const fixture = await makePort();
  const before = readFileSync(join(fixture.tree, 'hello.c'), 'utf8');
  expect((await build(fixture, '--source', fixture.tree)).exitCode).toBe(0);
  expect(await says(fixture, 'megapipe')).toBe('plain\nhooked\nours');
  expect(readFileSync(join(fixture.tree, 'hello.c'), 'utf8')).toBe(before);
  writeFileSync(join(fixture.tree, 'hello.c'), before.replace('return 0', 'return 0 + 0'));
  const { stderr } = await build(fixture, '--source', fixture.tree);
  expect(stderr).toContain('0001-hook.patch');
});

test('without patches there is a baseline, and it is said that there is no more', async () => {
  const fixture = await makePort();
  rmSync(join(fixture.port, 'patches'), { recursive: true });
  const all = await build(fixture);
  expect(all.exitCode).toBe(0);
  expect(all.stdout).toContain('no megapipe variant');
  expect(await says(fixture, 'baseline')).toBe('plain');
  const one = await build(fixture, '--variant', 'megapipe');
  expect(one.exitCode).toBe(1);
  expect(one.stderr).toContain('no megapipe variant');
});

test('a product that the build does not leave is an error that names it', async () => {
  const fixture = await makePort();
  writePortFile(fixture.port, fixture.sum, { products: ['hello', 'goodbye'] });
  const { stderr, exitCode } = await build(fixture);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('goodbye');
});

test('a failing compiler is quoted, and the log named', async () => {
  const fixture = await makePort();
  writeFileSync(join(fixture.port, 'megapipe.h'), 'no_such_function_anywhere();\n');
  const { stderr, exitCode } = await build(fixture);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('cannot compile hello megapipe');
  expect(stderr).toContain('no_such_function_anywhere');
  expect(stderr).toMatch(/build\/log\/\S+\.log/);
});

test('a port.json with a wrong member is an error that names the member', async () => {
  const fixture = await makePort();
  writePortFile(fixture.port, 'f00');
  const { stderr, exitCode } = await build(fixture);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('port.json');
  expect(stderr).toContain('debian.sha256');
});

test('two builds at once take turns', async () => {
  const fixture = await makePort();
  const [first, second] = await Promise.all([build(fixture), build(fixture)]);
  expect([first.exitCode, second.exitCode]).toEqual([0, 0]);
  expect(await says(fixture, 'megapipe')).toBe('plain\nhooked\nours');
});

test('a build beside another says that it waits, and then goes on', async () => {
  const fixture = await makePort();
  const waiting = await withBuildLock(async () => {
    const process = build(fixture, '--variant', 'baseline');
    const lines = createInterface({ input: process.stderr });
    for await (const line of lines) if (line.includes('waiting for another build')) break;
    return { process };
  });
  const { stderr, exitCode } = await waiting.process;
  expect(stderr).toContain('waiting for another build');
  expect(exitCode).toBe(0);
});

testUnless(whyNotAsNobody())('a folder that one may not write in is said to be so', async () => {
  const fixture = await makePort();
  await megapipe(['--help']);
  const command = [join(root, 'dist/src/cli.js'), 'build', fixture.port, '--source', fixture.tarball];
  await execa('chmod', ['-R', 'a+rX', fixture.folder]);
  const options = { uid: nobody, gid: nobody, cwd: '/', reject: false } as const;
  const { stderr, exitCode } = await execa(process.execPath, command, options);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^megapipe: cannot build in .*EACCES.*; .+$/m);
});
