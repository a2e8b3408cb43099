import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { missingPackages } from '../../src/debian/install.js';

/** Has `dpkg-query` say what is installed. */
function installed(lines: string[]): void {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-dpkg-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'dpkg-query'), `#!/bin/sh\ncat <<'END'\n${lines.join('\n')}\nEND\n`, {
    mode: 0o755,
  });
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
  onTestFinished(() => void vi.unstubAllEnvs());
}

test('what another package provides is there, too', async () => {
  installed([
    'installed libelf1t64, libelf1 (= 0.192-4)',
    'installed pkgconf, pkg-config (= 1.8.1), pkgconfig',
  ]);
  expect(await missingPackages(['libelf1', 'pkg-config', 'libelf1t64', 'gcc'])).toEqual(['gcc']);
});

test('what is removed but for its settings is missing', async () => {
  installed(['config-files nginx, httpd', 'installed gcc, c-compiler']);
  expect(await missingPackages(['nginx', 'gcc'])).toEqual(['nginx']);
});
