import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { loadPort, serverBinary, variantDirectory, variants } from '../../src/port/port.js';
import { fetchSource } from '../../src/port/source.js';
import { megapipe } from '../megapipe.js';

const port = loadPort('memcached');

test('what the set-up built is not built again', async () => {
  const { stdout, exitCode } = await megapipe(['build', 'memcached']);
  expect(exitCode).toBe(0);
  expect(stdout.match(/: up to date/g)).toHaveLength(6);
});

test.each(variants)('%s is the version that the port is for', async (variant) => {
  const { stdout } = await execa(serverBinary(port, variant), ['-V']);
  expect(stdout).toBe(`memcached ${port.version}`);
});

test('both variants are configured alike but for the port’s switch', async () => {
  const [baseline, ported] = await Promise.all(variants.map(configuration));
  const more = ported?.filter((argument) => !baseline?.includes(argument));
  expect(baseline?.filter((argument) => !ported?.includes(argument))).toEqual([]);
  expect(more?.filter((argument) => !/^MEGAPIPE_(?:CFLAGS|LIBS)=/.test(argument))).toEqual(port.megapipe);
});

test('the baseline has nothing of MegaPipe in it', async () => {
  const [baseline, ported] = await Promise.all(variants.map(symbols));
  expect(ported).toMatch(/\bmp_dispatch\b/);
  expect(baseline).not.toMatch(/\bmp_/);
});

test('a release that the patches are not for is refused by patch, file and hunk', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-memcached-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const source = await fetchSource(port);
  await execa('tar', ['-xf', source.path, '-C', folder]);
  const tree = join(folder, `memcached-${port.version}`);
  const file = join(tree, 'thread.c');
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('static void', 'void static'));
  const args = ['build', 'memcached', '--source', tree, '--output', join(folder, 'out')];
  const { stderr, exitCode } = await megapipe(args);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/patch \d{4}-\S+\.patch does not apply to memcached: thread\.c, hunk \d+/);
});

async function configuration(variant: (typeof variants)[number]): Promise<string[]> {
  const { stdout } = await execa('./config.status', ['--config'], { cwd: variantDirectory(port, variant) });
  return stdout.split(/\s+(?='?[-A-Z])/).map((argument) => argument.replaceAll("'", ''));
}

async function symbols(variant: (typeof variants)[number]): Promise<string> {
  return (await execa('nm', [serverBinary(port, variant)])).stdout;
}
