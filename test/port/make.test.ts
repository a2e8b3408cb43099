import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { addSourcePackage, build, makePort, says } from './fixture.js';

test('make gives both variants out of one tree: with our files in their folder, and libmegapipe, in ours', async () => {
  const fixture = await makePort();
  const { stdout, stderr, exitCode } = await build(fixture, '--source', fixture.tarball);
  expect(exitCode, stdout + stderr).toBe(0);
  expect(await says(fixture, 'baseline')).toBe('plain');
  expect(await says(fixture, 'megapipe')).toBe('plain\nhooked\nepoll: 0');
  const again = await build(fixture, '--source', fixture.tarball);
  expect(again.stdout.match(/up to date/g)).toHaveLength(5);
});

test('both variants are compiled with the same flags, those of port.json too', async () => {
  const fixture = await makePort({ compilerFlags: ['-DNEVER_USED'] });
  await build(fixture, '--source', fixture.tarball);
  const flags = async (variant: string) => {
    const program = join(fixture.output, 'hello', variant, 'bin/hello');
    const { stdout } = await execa('readelf', ['--debug-dump=info', program]);
    return /DW_AT_producer.*: (GNU C.*)/.exec(stdout)?.[1];
  };
  expect(await flags('baseline')).toContain('-O2');
  expect(await flags('megapipe')).toBe(await flags('baseline'));
});

test('a header of ours that changed is compiled in, though the makefile doesn’t know of it', async () => {
  const fixture = await makePort();
  await build(fixture, '--source', fixture.tarball);
  const header = join(fixture.port, 'own/ours/engine.h');
  writeFileSync(header, readFileSync(header, 'utf8').replace('epoll: %d', 'it is %d'));
  await build(fixture, '--source', fixture.tarball);
  expect(await says(fixture, 'megapipe')).toBe('plain\nhooked\nit is 0');
});

test('Debian’s patches come first, for both variants, and are not counted as ours', async () => {
  const fixture = await makePort();
  const { sha256, settings, port, output } = fixture;
  const debian = { package: 'hello', file: 'hello_1.0.orig.tar.gz', sha256, patches: true };
  writeFileSync(join(port, 'port.json'), JSON.stringify({ ...settings, debian }));
  const hook = join(port, 'patches/0001-hook.patch');
  writeFileSync(hook, readFileSync(hook, 'utf8').replaceAll('"plain"', '"plainer"'));
  await addSourcePackage(fixture);
  const { stderr, exitCode } = await build(fixture);
  expect(exitCode, stderr).toBe(0);
  expect(await says(fixture, 'baseline')).toBe('plainer');
  expect(await says(fixture, 'megapipe')).toBe('plainer\nhooked\nepoll: 0');
  const lines: unknown = JSON.parse(readFileSync(join(output, 'hello/lines.json'), 'utf8'));
  expect(lines).toMatchObject({ application: 6, changed: 7 });
});

test('--sanitize reaches the compiler, and is refused where make is not told of it', async () => {
  const fixture = await makePort();
  const { settings, port, output } = fixture;
  const { exitCode } = await build(
    fixture,
    '--source',
    fixture.tarball,
    '--sanitize',
    '--variant',
    'megapipe',
  );
  expect(exitCode).toBe(0);
  const { stdout } = await execa('nm', [join(output, 'hello/megapipe-sanitize/bin/hello')]);
  expect(stdout).toContain('__asan_init');
  writeFileSync(join(port, 'port.json'), JSON.stringify({ ...settings, make: {} }));
  const { stderr } = await build(fixture, '--source', fixture.tarball, '--sanitize', '--variant', 'baseline');
  expect(stderr).toMatch(
    /^megapipe: .*port\.json.*make.*\{cflags\}.*; add CFLAGS=\{cflags\} to make\.arguments/m,
  );
});

test('what make doesn’t leave is named, with what make was told and what to correct', async () => {
  const fixture = await makePort({ products: ['bin/hello', 'bin/goodbye'] });
  const { stderr, exitCode } = await build(fixture, '--source', fixture.tarball, '--variant', 'baseline');
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /^megapipe: make left no bin\/goodbye in .*: it ran as make .*bin\/hello .*; correct products/m,
  );
});

test('a port with neither patches nor files has a baseline, and it is said that there is no more', async () => {
  const fixture = await makePort({ files: undefined });
  await execa('rm', ['-r', join(fixture.port, 'patches')]);
  const { stdout, exitCode } = await build(fixture, '--source', fixture.tarball);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('no megapipe variant');
});

test('a port may do without patches: files of its own are enough', async () => {
  const fixture = await makePort();
  await execa('rm', ['-r', join(fixture.port, 'patches')]);
  const { exitCode } = await build(fixture, '--source', fixture.tarball);
  expect(exitCode).toBe(0);
  expect(await says(fixture, 'megapipe')).toBe('plain');
});
