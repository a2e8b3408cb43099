import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import { loadPort, serverBinary } from '../../src/port/port.js';
import { portForRelease } from '../../src/port/release.js';
import { megapipe } from '../megapipe.js';

test('the module is in a newer Debian release’s nginx too', async () => {
  const port = await portForRelease(loadPort('nginx'), 'trixie');
  const binary = serverBinary(port, 'megapipe');
  expect((await execa(binary, ['-v'])).stderr).toBe(`nginx version: nginx/${port.version}`);
  expect(port.version).not.toBe(loadPort('nginx').version);
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-nginx-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'nginx.conf'), 'events { use megapipe; }\nhttp {}\n');
  const { stderr } = await execa(binary, ['-t', '-p', folder]);
  expect(stderr).toContain('test is successful');
});

test('what the set-up built of a newer release is not built again', async () => {
  const { stdout } = await megapipe(['build', 'nginx', '--release', 'trixie', '--variant', 'megapipe']);
  expect(stdout.match(/: up to date/g)).toHaveLength(4);
});

test('a release that there is none of is named', async () => {
  const { stderr, exitCode } = await megapipe(['build', 'nginx', '--release', 'nosuch']);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^megapipe: .*nosuch/m);
});

test('what is no name of a release is refused', async () => {
  const { stderr, exitCode } = await megapipe(['build', 'nginx', '--release', '../13']);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/^megapipe: \.\.\/13 is not the name of a release; .*trixie/m);
});

test('a release and a source of one’s own exclude each other', async () => {
  const args = ['build', 'nginx', '--release', 'trixie', '--source', root];
  const { stderr, exitCode } = await megapipe(args);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/--release.*--source/);
});
