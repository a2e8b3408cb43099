import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';

const zeros = '0'.repeat(64);

const configure = `#!/bin/sh
flags=
for argument; do
	case $argument in --enable-megapipe) flags=-DMEGAPIPE ;; esac
done
echo "hello: hello.c; cc $flags -o hello hello.c" > Makefile
`;

const hello = `#include <stdio.h>

int main(void)
{
	puts("plain");
	return 0;
}
`;

const hookPatch = `From: nobody
Subject: [PATCH] hello: say more over MegaPipe

--- a/hello.c
+++ b/hello.c
@@ -3,5 +3,8 @@
 int main(void)
 {
 	puts("plain");
+#ifdef MEGAPIPE
+	puts("hooked");
+#endif
 	return 0;
 }
`;

const secondPatch = `Subject: [PATCH] hello: needs the first patch to be there

--- a/hello.c
+++ b/hello.c
@@ -5,6 +5,7 @@
 	puts("plain");
 #ifdef MEGAPIPE
 	puts("hooked");
+#include "megapipe.h"
 #endif
 	return 0;
 }
`;

/** A tiny application with a port, in a folder that goes away with the test. */
export async function makePort() {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-port-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const tree = join(folder, 'hello-1.0');
  const port = join(folder, 'port');
  mkdirSync(tree);
  mkdirSync(join(port, 'patches'), { recursive: true });
  writeFileSync(join(tree, 'configure'), configure, { mode: 0o755 });
  writeFileSync(join(tree, 'hello.c'), hello);
  const tarball = join(folder, 'hello-1.0.tar.gz');
  await execa('tar', ['-czf', tarball, '-C', folder, 'hello-1.0']);
  const sum = createHash('sha256').update(readFileSync(tarball)).digest('hex');
  writePortFile(port, sum);
  writeFileSync(join(port, 'patches/0001-hook.patch'), hookPatch);
  writeFileSync(join(port, 'patches/0002-second.patch'), secondPatch);
  writeFileSync(join(port, 'megapipe.h'), 'puts("ours");\n');
  return { folder, tree, port, tarball, sum, output: join(folder, 'out') };
}

/** The fixture's port.json; the sum is that of its one tarball. */
export function writePortFile(port: string, sum = zeros, more: object = {}): void {
  const contents = {
    name: 'hello',
    kind: 'autoconf',
    version: '1.0',
    licence: 'MIT',
    debian: { package: 'hello', file: 'hello_1.0.orig.tar.gz', sha256: sum },
    upstream: { url: 'http://127.0.0.1:1/hello-1.0.tar.gz', sha256: sum },
    configure: [],
    megapipe: ['--enable-megapipe'],
    products: ['hello'],
    ...more,
  };
  writeFileSync(join(port, 'port.json'), JSON.stringify(contents));
}
