import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { libmegapipeHeaders } from '../../src/build/native.js';
import { loadPort } from '../../src/port/port.js';
import { fetchSource } from '../../src/port/source.js';
import { engines } from '../engines.js';
import { type Kind, unused } from '../nginx/kinds.js';
import { start } from '../nginx/server.js';
import { tcpUpstream } from '../nginx/upstream.js';
import { testUnless } from '../skip.js';

// What somebody does who has nginx's release and this project's two folders, and not the `megapipe` command. nginx
// without HTTP compiles quickly, and has every part that the module hooks into but TLS.
const port = loadPort('nginx');
const folder = mkdtempSync(join(tmpdir(), 'megapipe-by-hand-'));
const installed = join(folder, 'usr');
const addModule = `--add-module=${join(port.directory, 'module')}`;
const small = ['--without-http', '--without-pcre', '--with-stream=dynamic', '--with-threads'];
const limit_ms = 600_000;

beforeAll(async () => {
  await execa('make', ['-C', libmegapipeHeaders, 'install', `PREFIX=${installed}`]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('libmegapipe installed, nginx builds with the module and installs', { timeout: limit_ms }, async () => {
  const tree = await unpack('installed');
  const prefix = join(folder, 'nginx');
  await inTree(tree, './configure', addModule, ...small, `--prefix=${prefix}`);
  await inTree(tree, 'make', '-j2');
  await inTree(tree, 'make', 'install');
  await runs(join(prefix, 'sbin/nginx'), prefix);
});

const stockEvents = { engine: undefined, missing: undefined };
for (const { engine, missing } of [stockEvents, ...engines]) {
  testUnless(missing)(`the stream module that was built with it serves on ${engine ?? 'epoll'}`, async () => {
    const upstream = await tcpUpstream((socket) => void socket.end('alive'));
    const prefix = join(folder, 'nginx');
    const kind: Kind = { ...unused, name: engine ?? 'stock', engine, binary: join(prefix, 'sbin/nginx') };
    const nginx = await start(kind, {
      http: false,
      portCount: 4,
      main: `load_module ${prefix}/modules/ngx_stream_module.so;`,
      stream: ({ ports: [told, failing, refused, closed] }) => `
        server { listen 127.0.0.1:${told} proxy_protocol; return "$proxy_protocol_addr"; }
        upstream some { server 127.0.0.1:${closed}; server 127.0.0.1:${upstream.port}; }
        server { listen 127.0.0.1:${failing}; proxy_pass some; }
        server { listen 127.0.0.1:${refused}; proxy_pass 127.0.0.1:${closed}; }`,
    });
    const [told, failing, refused] = nginx.ports;
    const client = await nginx.connect(told);
    client.write('PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\n');
    expect(await client.rest()).toBe('192.0.2.7');
    for (let i = 0; i < 4; i += 1) expect(await (await nginx.connect(failing)).rest()).toBe('alive');
    expect(await (await nginx.connect(refused)).rest()).toBe('');
    expect(nginx.errorLog()).toMatch(/connect\(\) failed \(111: .* while connecting to upstream/);
  });
}

test('nginx builds with the module and Debian’s hardening', { timeout: limit_ms }, async () => {
  const tree = await unpack('hardened');
  const [cflags, cppflags, ldflags] = await Promise.all(['CFLAGS', 'CPPFLAGS', 'LDFLAGS'].map(debianFlags));
  expect(cppflags).toContain('_FORTIFY_SOURCE');
  const flags = [`--with-cc-opt=${cflags} -fPIC ${cppflags}`, `--with-ld-opt=${ldflags} -fPIC`];
  await inTree(tree, './configure', addModule, ...small, ...flags);
  await inTree(tree, 'make', '-j2');
  await runs(join(tree, 'objs/nginx'), tree);
});

test('configure says what is missing where libmegapipe is not found', async () => {
  const tree = await unpack('lost');
  const env = { PKG_CONFIG_PATH: join(folder, 'nowhere'), PKG_CONFIG_LIBDIR: join(folder, 'nowhere') };
  const options = { cwd: tree, env, all: true, reject: false } as const;
  const { all, exitCode } = await execa('./configure', [addModule, ...small], options);
  expect(exitCode).toBe(1);
  expect(all).toMatch(/error: .*libmegapipe/);
  expect(all).toContain('PKG_CONFIG_PATH');
  expect(existsSync(join(tree, 'objs/Makefile'))).toBe(false);
});

async function unpack(name: string): Promise<string> {
  const { path } = await fetchSource(port);
  const place = join(folder, name);
  await execa('mkdir', [place]);
  await execa('tar', ['-xf', path, '-C', place, '--strip-components=1', '--no-same-owner']);
  return place;
}

function inTree(tree: string, file: string, ...args: string[]) {
  const env = { PKG_CONFIG_PATH: join(installed, 'lib/pkgconfig') };
  return execa(file, args, { cwd: tree, env, all: true });
}

async function debianFlags(name: string): Promise<string> {
  const env = { DEB_BUILD_MAINT_OPTIONS: 'hardening=+all' };
  return (await execa('dpkg-buildflags', ['--get', name], { env })).stdout;
}

async function runs(binary: string, prefix: string): Promise<void> {
  const config = join(folder, 'nginx.conf');
  writeFileSync(config, 'pid nginx.pid;\nevents { use megapipe; }\n');
  const args = ['-t', '-e', 'stderr', '-p', prefix, '-c', config];
  const { stderr } = await execa(binary, args);
  expect(stderr).toContain('test is successful');
}
