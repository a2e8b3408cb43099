import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import { findKernel } from '../../src/vm/kernel.js';
import { whyNoGuests } from '../../src/vm/prepare.js';
import { testUnless } from '../skip.js';

/* Building and installing the module; that it works is tested in guests. */

const sources = join(root, 'kernel');

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'megapipe-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

const fails = (command: string, args: string[]) => execa(command, args, { reject: false, all: true });

testUnless(whyNoGuests())('a kernel that lacks something the module needs is told what', async () => {
  const copy = join(scratch, 'kernel');
  cpSync(sources, copy, { recursive: true });
  const need = '/* SPDX */\n/* waiting for the end of time */\nint mp_need(void) { return end_of_time(); }\n';
  writeFileSync(join(copy, 'features/need_patience.c'), need);
  const { release, tree } = findKernel('6.12');
  const settings = [`KERNEL_RELEASE=${release}`, `KERNEL_BUILD=${tree}`, `O=${join(scratch, 'build')}`];
  const { exitCode, all } = await fails('make', ['-C', copy, ...settings]);
  expect(exitCode).not.toBe(0);
  expect(all).toContain(`how to do this on Linux ${release}: waiting for the end of time\n`);
  expect(all).toContain('end_of_time');
  expect(existsSync(join(scratch, 'build/features.h'))).toBe(false);
});

test('a kernel older than 6.1 is refused with a sentence', async () => {
  const headers = join(scratch, 'old');
  mkdirSync(join(headers, 'linux'), { recursive: true });
  mkdirSync(join(headers, 'net'));
  const version =
    '#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))\n#define LINUX_VERSION_CODE ';
  writeFileSync(join(headers, 'net/sock.h'), 'struct sock { int sk_err; };\n');
  const sane = ['-fsyntax-only', '-nostdinc', `-I${headers}`, join(sources, 'features/sane.c')];
  for (const [code, isRefused] of [
    ['KERNEL_VERSION(5, 19, 17)', true],
    ['KERNEL_VERSION(6, 1, 0)', false],
  ] as const) {
    writeFileSync(join(headers, 'linux/version.h'), `${version}${code}\n`);
    const { exitCode, all } = await fails('gcc', sane);
    expect(exitCode !== 0, all).toBe(isRefused);
    if (isRefused) expect(all).toContain('MegaPipe needs Linux 6.1 or newer');
  }
});

/* dkms itself is not to build for this machine: what it is asked for is written down. */
test('DKMS builds for every kernel with headers, brings the udev rule, and takes all away', async () => {
  const log = join(scratch, 'asked');
  const dkms = join(scratch, 'dkms');
  writeFileSync(dkms, `#!/bin/sh\necho "$@" >> ${log}\n[ "$1" != status ] || cat ${log}.status\n`, {
    mode: 0o755,
  });
  const folders = { DKMS_SOURCE: join(scratch, 'src'), RULES: join(scratch, 'rules') };
  const settings = Object.entries(folders).map(([name, value]) => `${name}=${value}`);
  const make = (...args: string[]) => fails('make', ['-C', sources, `DKMS=${dkms}`, ...settings, ...args]);
  const rule = join(folders.RULES, '60-megapipe.rules');
  const asked = () => readFileSync(log, 'utf8').split('\n').filter(Boolean);

  expect(await make('dkms', 'KERNELS=')).toMatchObject({
    exitCode: 2,
    all: expect.stringContaining("no kernel's headers"),
  });
  writeFileSync(`${log}.status`, '');
  expect(await make('dkms', 'KERNELS=6.1.0-1 6.12.3')).toMatchObject({ exitCode: 0 });
  expect(asked()).toEqual([
    'status megapipe/0.1.0',
    'install megapipe/0.1.0 -k 6.1.0-1',
    'install megapipe/0.1.0 -k 6.12.3',
  ]);
  expect(existsSync(rule)).toBe(true);
  expect(existsSync(join(folders.DKMS_SOURCE, 'features/need_files.c'))).toBe(true);

  writeFileSync(`${log}.status`, 'megapipe/0.1.0, 6.12.3, x86_64: installed\n');
  expect(await make('dkms-uninstall')).toMatchObject({ exitCode: 0 });
  expect(asked().at(-1)).toBe('remove megapipe/0.1.0 --all');
  expect(existsSync(rule) || existsSync(folders.DKMS_SOURCE)).toBe(false);
});
