import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { loadPort, portNames, serverBinary } from '../../src/port/port.js';
import { megapipe } from '../megapipe.js';

test('the module is in a newer Debian release’s nginx too', async () => {
  const port = loadPort('nginx', '1.26.3');
  const binary = serverBinary(port, 'megapipe');
  expect((await execa(binary, ['-v'])).stderr).toBe('nginx version: nginx/1.26.3');
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-nginx-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'nginx.conf'), 'events { use megapipe; }\nhttp {}\n');
  const { stderr } = await execa(binary, ['-t', '-p', folder]);
  expect(stderr).toContain('test is successful');
});

test('what the set-up built of a newer release is not built again', async () => {
  const { stdout } = await megapipe(['build', 'nginx', '--version', 'trixie', '--variant', 'megapipe']);
  expect(stdout.match(/: up to date/g)).toHaveLength(5);
});

test.for(portNames())('%s is known of Debian 12 and 13, by the names of these releases', (name) => {
  const versions = ['bookworm', 'trixie'].map((release) => loadPort(name, release).version);
  expect(new Set(versions).size).toBe(2);
});

test('a release that there is none of is named', async () => {
  const { stderr, exitCode } = await megapipe(['build', 'nginx', '--version', 'nosuch']);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^megapipe: .*nosuch/m);
});

test('what is no name of a release is refused', async () => {
  const { stderr, exitCode } = await megapipe(['build', 'nginx', '--version', '../13']);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/^megapipe: the port of nginx has no version \.\.\/13; .*1\.26\.3.*trixie/m);
});
