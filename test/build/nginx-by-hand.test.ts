import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { libmegapipeHeaders } from '../../src/build-native.js';
import { loadPort } from '../../src/port.js';
import { fetchSource } from '../../src/port-source.js';

// What somebody does who has nginx's release and this project's two folders, and not the `megapipe` command. nginx
// without HTTP compiles quickly, and has every part that the module hooks into but TLS.
const port = loadPort('nginx');
const folder = mkdtempSync(join(tmpdir(), 'megapipe-by-hand-'));
const installed = join(folder, 'usr');
const addModule = `--add-module=${join(port.directory, 'module')}`;
const small = ['--without-http', '--without-pcre', '--with-stream', '--with-threads'];
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
  writeFileSync(config, 'pid nginx.pid;\nevents { use megapipe; }\nstream {}\n');
  const args = ['-t', '-e', 'stderr', '-p', prefix, '-c', config];
  const { stderr } = await execa(binary, args);
  expect(stderr).toContain('test is successful');
}
