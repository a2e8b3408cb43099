import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';
import { megapipe } from '../megapipe.js';

const program = `#include <stdio.h>

int main(void)
{
	puts("plain");
	return 0;
}
`;

/** It has a makefile that takes its flags from the environment. */
const makefile = `CPPFLAGS += -DGREETING='"$(GREETING)"'

ifdef MEGAPIPE_LIBS
CPPFLAGS += -DMEGAPIPE $(MEGAPIPE_CFLAGS)
LDLIBS += $(MEGAPIPE_LIBS)
endif

bin/hello: src/hello.c
	mkdir -p bin
	$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ src/hello.c $(LDLIBS)
`;

const hook = `Subject: [PATCH] hello: say which engine there is

--- a/src/hello.c
+++ b/src/hello.c
@@ -1,7 +1,14 @@
 #include <stdio.h>
+#ifdef MEGAPIPE
+#include "ours/engine.h"
+#endif
 
 int main(void)
 {
 	puts("plain");
+#ifdef MEGAPIPE
+	puts(GREETING);
+	say_engine();
+#endif
 	return 0;
 }
`;

const engine = `#include <megapipe.h>

static inline void say_engine(void)
{
	struct mp_engine_info info;

	printf("epoll: %d\\n", mp_engine_probe("epoll", &info));
}
`;

/** What Debian has changed, for both variants. */
const debian = `Subject: [PATCH] hello: be plainer

--- a/src/hello.c
+++ b/src/hello.c
@@ -2,6 +2,6 @@
 
 int main(void)
 {
-	puts("plain");
+	puts("plainer");
 	return 0;
 }
`;

export type MadePort = Awaited<ReturnType<typeof makePort>>;

/** A port of kind make, of a tiny application, in a folder that goes away with the test. */
export async function makePort(more: object = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-port-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const port = join(folder, 'port');
  write(folder, {
    'hello-1.0/src/hello.c': program,
    'hello-1.0/Makefile': makefile,
    'port/patches/0001-hook.patch': hook,
    'port/own/ours/engine.h': engine,
  });
  const tarball = join(folder, 'hello-1.0.tar.gz');
  await execa('tar', ['-czf', tarball, '-C', folder, 'hello-1.0']);
  const sha256 = createHash('sha256').update(readFileSync(tarball)).digest('hex');
  const settings = {
    name: 'hello',
    kind: 'make',
    version: '1.0',
    licence: 'MIT',
    upstream: { url: 'http://127.0.0.1:1/hello-1.0.tar.gz', sha256 },
    files: { from: 'own', to: 'src' },
    make: { arguments: ['bin/hello', 'CFLAGS={cflags}'], environment: { GREETING: 'hooked' } },
    products: ['bin/hello'],
    ...more,
  };
  writeFileSync(join(port, 'port.json'), JSON.stringify(settings));
  return { folder, port, tarball, sha256, settings, output: join(folder, 'out') };
}

/** Debian's source package of it, as if it had been fetched. */
export async function addSourcePackage({ folder, output, tarball }: MadePort): Promise<void> {
  const download = join(output, 'hello/download');
  write(folder, {
    'debian/patches/plainer.diff': debian,
    'debian/patches/series': '# ours\nplainer.diff -p1\n',
  });
  write(download, {});
  await execa('cp', [tarball, join(download, 'hello_1.0.orig.tar.gz')]);
  await execa('tar', ['-cJf', join(download, 'hello_1.0-3.debian.tar.xz'), '-C', folder, 'debian']);
}

export function build({ port, output }: MadePort, ...more: string[]) {
  return megapipe(['build', port, '--output', output, ...more]);
}

/** What a variant that was built says. */
export async function says({ output }: MadePort, variant: string): Promise<string> {
  return (await execa(join(output, 'hello', variant, 'bin/hello'))).stdout;
}

/** Write files below a folder, which need not be there. */
function write(folder: string, files: Record<string, string>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}
