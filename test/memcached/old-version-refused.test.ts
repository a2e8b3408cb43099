import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { megapipe } from '../megapipe.js';
import { version } from './old-version.js';

/** What needs no source of the paper's memcached: see old-version.test.ts for what does. */
test('a tree of another release is refused before anything is patched', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-old-version-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const tree = join(folder, 'memcached');
  const build = (...args: string[]) =>
    megapipe(['build', 'memcached', '--output', join(folder, 'out'), '--version', version, ...args]);
  const nothing = await build('--source', tree);
  expect(nothing.stderr).toContain(`there is no source at ${tree}`);
  expect(nothing.exitCode).toBe(1);
  const file = join(folder, 'memcached.tar.gz');
  writeFileSync(file, 'not this');
  const tarball = await build('--source', file);
  expect(tarball.stderr).toContain('cb0b8b87aa57890d2327906a11f2f1b61b8d870c0885b54c61ca46f954f27e29');
  expect(tarball.exitCode).toBe(1);
  const other = await build('--source', join(import.meta.dirname, '../../libmegapipe/examples'));
  expect(other.stderr).toMatch(/Makefile\.am is not that of memcached 1\.4\.13: it is not there/);
  expect(other.exitCode).toBe(1);
});

test('a version that the port does not have is an error that names those it has', async () => {
  const { stderr, exitCode } = await megapipe(['serve', 'memcached', '--version', '1.4.14']);
  expect(stderr).toMatch(
    /^megapipe: the port of memcached has no version 1\.4\.14; it has: 1\.6\.18, 1\.6\.45, 1\.6\.38, 1\.4\.13$/m,
  );
  expect(exitCode).toBe(2);
});
