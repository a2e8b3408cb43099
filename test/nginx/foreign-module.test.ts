import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import { loadPort, variantDirectory } from '../../src/port/port.js';
import { treeDirectory } from '../../src/port/tree.js';
import { describeKinds, type Kind, stock } from './kinds.js';
import { start } from './server.js';

// A dynamic module that was built apart from the server, by flags of its own, and calls the kernel on connections.
const folder = mkdtempSync(join(tmpdir(), 'megapipe-foreign-'));
const port = loadPort('nginx', stock.version, process.env.NGINX_TEST_BUILDS);
const tree = treeDirectory(port);
const calls = ['read', 'readv', 'recvfrom', 'recvmsg'];

/** As distributions link theirs: addresses of calls are read-only once they are known. */
const links = { lazy: '-Wl,-z,lazy,-z,norelro', hardened: '-Wl,-z,relro,-z,now' };

beforeAll(async () => {
  const headers = ['core', 'event', 'event/modules', 'os/unix', 'stream'].map((name) =>
    join(tree, 'src', name),
  );
  const include = [...headers, variantDirectory(port, 'baseline')].map((name) => `-I${name}`);
  const source = join(root, 'test/nginx/foreign-module.c');
  for (const [name, link] of Object.entries(links)) {
    const flags = ['-O2', '-D_FORTIFY_SOURCE=2', '-fPIC', '-shared', link, ...include];
    await execa('gcc', [...flags, '-o', join(folder, `${name}.so`), source]);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const startForeign = (kind: Kind, link: string, names: string[], lwsocket: boolean) =>
  start(kind, {
    lwsocket,
    portCount: 1 + names.length,
    main: `load_module ${join(folder, link)}.so;`,
    stream: ({ ports }) =>
      names.map((name, i) => `server { listen 127.0.0.1:${ports[i + 1]}; foreign ${name}; }`).join('\n'),
    expected: [/a module called poll\(\) on the connection/],
  });

describeKinds((kind) => {
  describe.each(Object.keys(links))('a module linked %s', (link) => {
    test.each([true, false])('reads and writes by itself, lwsocket %s', async (lwsocket) => {
      const nginx = await startForeign(kind, link, calls, lwsocket);
      for (const port of nginx.ports.slice(1)) {
        const connection = await nginx.connect(port);
        for (const text of ['hello', 'again '.repeat(1000)]) {
          connection.write(text);
          expect((await connection.bytes(text.length)).toString()).toBe(text);
        }
      }
    });
  });

  test('what a module can’t do with a connection is told', async () => {
    const nginx = await startForeign(kind, 'hardened', ['poll'], false);
    const connection = await nginx.connect(nginx.ports[1]);
    connection.write('hello\n');
    if (kind.engine === undefined) {
      expect(await connection.until('\n')).toContain('hello');
    } else {
      expect(await connection.rest()).toBe('');
      expect(nginx.errorLog()).toMatch(/\[alert\].*a module called poll\(\) on the connection \d+/);
    }
  });
});
