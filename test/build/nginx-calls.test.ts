import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { loadPort, variantDirectory } from '../../src/port/port.js';

const port = loadPort('nginx');

const check = (folder: string) =>
  execa(join(port.directory, 'check-calls'), [folder], { reject: false, all: true });

test('every call on a descriptor that nginx makes is known', async () => {
  const { all, exitCode } = await check(variantDirectory(port, 'megapipe'));
  expect(all).toBe('');
  expect(exitCode).toBe(0);
});

test('a call that a new nginx might make is found', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-calls-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const source = join(folder, 'new.c');
  const lines = ['recvmmsg(fd, 0, 1, 0, 0);', 'splice(0, 0, fd, 0, 1, 0);', 'recv(fd, 0, 0, 0);'];
  writeFileSync(
    source,
    `#define _GNU_SOURCE\n#include <sys/socket.h>\n#include <fcntl.h>\nvoid new(int fd) { ${lines.join(' ')} }\n`,
  );
  await execa('gcc', ['-c', source, '-o', join(folder, 'new.o')]);
  const { all, exitCode } = await check(folder);
  expect(exitCode).toBe(1);
  expect(all).toMatch(/doesn't redirect: recvmmsg splice$/m);
});

test('a folder without objects is an error', async () => {
  expect((await check(join(port.directory, 'module'))).exitCode).toBe(2);
});
