import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { megapipe } from '../megapipe.js';
import { makePort, writePortFile } from './fixture.js';

type Fixture = Awaited<ReturnType<typeof makePort>>;

function build(fixture: Fixture, ...more: string[]) {
  return megapipe(['build', fixture.port, '--output', fixture.output, '--variant', 'baseline', ...more]);
}

async function serve(answers: Record<string, Buffer>) {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    const body = answers[request.url ?? ''];
    response.writeHead(body ? 200 : 404).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => new Promise<void>((resolve) => void server.close(() => resolve()));
  onTestFinished(close);
  const address = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${address.port}`, requests: () => requests, close };
}

test('a source that is not there is named', async () => {
  const fixture = await makePort();
  const { stderr, exitCode } = await build(fixture, '--source', join(fixture.folder, 'nowhere.tar.gz'));
  expect(exitCode).toBe(1);
  expect(stderr).toContain(join(fixture.folder, 'nowhere.tar.gz'));
});

test('a tarball with a wrong sum is refused, and both sums named', async () => {
  const fixture = await makePort();
  writePortFile(fixture.port, 'a'.repeat(64));
  const { stderr, exitCode } = await build(fixture, '--source', fixture.tarball);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('a'.repeat(64));
  expect(stderr).toContain(fixture.sum);
  expect(existsSync(join(fixture.output, 'hello/baseline'))).toBe(false);
});

test('--sha256 vouches for a tarball that the port does not know, and for no other', async () => {
  const fixture = await makePort();
  writePortFile(fixture.port, 'a'.repeat(64));
  const trusted = await build(fixture, '--source', fixture.tarball, '--sha256', fixture.sum);
  expect(trusted.exitCode).toBe(0);
  appendFileSync(fixture.tarball, 'x');
  const changed = await build(fixture, '--source', fixture.tarball, '--sha256', fixture.sum);
  expect(changed.exitCode).toBe(1);
  expect(changed.stderr).toContain(fixture.sum);
});

test('a URL is downloaded once', async () => {
  const fixture = await makePort();
  const server = await serve({ '/hello.tar.gz': readFileSync(fixture.tarball) });
  for (const _round of [1, 2]) {
    const { exitCode } = await build(fixture, '--source', `${server.url}/hello.tar.gz`);
    expect(exitCode).toBe(0);
  }
  expect(server.requests()).toBe(1);
});

test('a URL that gives something else is refused, and both sums named', async () => {
  const fixture = await makePort();
  const server = await serve({ '/hello.tar.gz': Buffer.from('something else') });
  const { stderr, exitCode } = await build(fixture, '--source', `${server.url}/hello.tar.gz`);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(fixture.sum);
  expect(stderr.match(/[0-9a-f]{64}/g)).toHaveLength(2);
});

test('a URL that the server does not have is named with the server’s answer', async () => {
  const fixture = await makePort();
  const { url } = await serve({});
  const { stderr, exitCode } = await build(fixture, '--source', `${url}/gone.tar.gz`);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`${url}/gone.tar.gz`);
  expect(stderr).toContain('404');
});

test('a URL where nobody listens is named with the reason', async () => {
  const fixture = await makePort();
  const { url, close } = await serve({});
  await close();
  const { stderr, exitCode } = await build(fixture, '--source', `${url}/hello.tar.gz`);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`${url}/hello.tar.gz`);
  expect(stderr).toContain('ECONNREFUSED');
});

test('a release is taken from the first place that has it, once, and held to the sums of all', async () => {
  const fixture = await makePort();
  const server = await serve({ '/other': Buffer.from('another'), '/pinned': readFileSync(fixture.tarball) });
  const zeros = '0'.repeat(64);
  const elsewhere = ['gone', 'other', 'pinned'].map((name) => ({
    url: `${server.url}/${name}`,
    sha256: zeros,
  }));
  writePortFile(fixture.port, fixture.sum, { debian: undefined, elsewhere });
  for (const _round of [1, 2]) expect((await build(fixture)).exitCode).toBe(0);
  expect(server.requests()).toBe(3);
});

test('where no place has a release, each is named with its reason', async () => {
  const fixture = await makePort();
  const { url } = await serve({ '/other': Buffer.from('another') });
  const elsewhere = ['gone', 'other'].map((name) => ({ url: `${url}/${name}`, sha256: fixture.sum }));
  writePortFile(fixture.port, fixture.sum, { debian: undefined, elsewhere });
  const { stderr, exitCode } = await build(fixture);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/hello 1\.0 is to be had nowhere: .*127\.0\.0\.1:1\/hello.*\/gone.*404.*sha256/);
  expect(stderr).toContain('--source');
});

test('--source is kept for the builds that name none, until it is the release again', async () => {
  const fixture = await makePort();
  writePortFile(fixture.port, fixture.sum, { debian: undefined });
  expect((await build(fixture, '--source', fixture.tree)).exitCode).toBe(0);
  const source = join(fixture.tree, 'hello.c');
  writeFileSync(source, readFileSync(source, 'utf8').replace('<stdio.h>', '<stdio.h> // kept'));
  expect((await build(fixture)).exitCode).toBe(0);
  expect(readFileSync(join(fixture.output, 'hello/baseline/hello.c'), 'utf8')).toContain('// kept');
  const again = await build(fixture, '--source', 'release');
  expect(again.exitCode).toBe(1);
  expect(again.stderr).toContain('127.0.0.1:1/hello-1.0.tar.gz');
});

test('a patch that does not apply is named with file and hunk', async () => {
  const fixture = await makePort();
  const source = join(fixture.tree, 'hello.c');
  writeFileSync(source, readFileSync(source, 'utf8').replace('puts("plain")', 'puts("other")'));
  const { stderr, exitCode } = await build(fixture, '--source', fixture.tree);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('0001-hook.patch');
  expect(stderr).toContain('hello.c, hunk 1');
  expect(stderr).toContain('1.0');
});

test('a patch of a file that is not there names the file', async () => {
  const fixture = await makePort();
  rmSync(join(fixture.tree, 'hello.c'));
  const { stderr, exitCode } = await build(fixture, '--source', fixture.tree);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('0001-hook.patch');
  expect(stderr).toContain('hello.c');
});

test('a patch that was applied before is not taken back', async () => {
  const fixture = await makePort();
  const patch = readFileSync(join(fixture.port, 'patches/0001-hook.patch'), 'utf8');
  writeFileSync(join(fixture.port, 'patches/0002-second.patch'), patch);
  const { stderr, exitCode } = await build(fixture, '--source', fixture.tarball);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('0002-second.patch');
});

test('a damaged tarball that somebody vouches for is an error, not half a tree', async () => {
  const fixture = await makePort();
  writeFileSync(fixture.tarball, 'not a tarball');
  const sum = createHash('sha256').update('not a tarball').digest('hex');
  const { stderr, exitCode } = await build(fixture, '--source', fixture.tarball, '--sha256', sum);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('cannot unpack hello-1.0.tar.gz');
  expect(existsSync(join(fixture.output, 'hello/tree'))).toBe(false);
});

test('the source folder is no place to build in', async () => {
  const fixture = await makePort();
  const output = join(fixture.tree, 'out');
  const { stderr, exitCode } = await megapipe([
    'build',
    fixture.port,
    '--source',
    fixture.tree,
    '--output',
    output,
  ]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(fixture.tree);
});
