import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import { libmegapipeArchive } from '../../src/build/native.js';
import { loadPort, serverBinary, type Variant, variantDirectory, variants } from '../../src/port/port.js';
import { treeDirectory } from '../../src/port/tree.js';
import { megapipe } from '../megapipe.js';
import { nobody, whyNotAsNobody } from '../nobody.js';
import { testUnless } from '../skip.js';

const port = loadPort('nginx');
const moduleFolder = join(port.directory, 'module');
/** The same as nginx's makefile names it. */
const modulePlace = relative(treeDirectory(port), moduleFolder);

test('what the set-up built is not built again', async () => {
  const { stdout, exitCode } = await megapipe(['build', 'nginx']);
  expect(exitCode).toBe(0);
  expect(stdout.match(/: up to date/g)).toHaveLength(6);
});

test.each(variants)('%s is the version that the port is for', async (variant) => {
  expect((await describeBuild(variant)).version).toBe(`nginx/${port.version}`);
});

test('both variants are configured alike but for the module and the folder', async () => {
  const [baseline, ported] = await Promise.all(variants.map(describeBuild));
  const differing = (argument: string) => /^--(?:builddir|add-module)=/.test(argument);
  expect(ported?.flags).toEqual(baseline?.flags);
  expect(ported?.arguments.filter((argument) => !differing(argument))).toEqual(
    baseline?.arguments.filter((argument) => !differing(argument)),
  );
  expect(baseline?.arguments.join()).not.toContain('--add-module');
  expect(ported?.arguments).toContain('--add-module=../../../ports/nginx/module');
});

test.each(variants)('%s tells nobody where it was built', async (variant) => {
  expect((await describeBuild(variant)).arguments.join()).not.toContain(root);
  const strings = ['--fixed-strings', '--text', '--only-matching', `${root}/`];
  const stripped = join(makeFolder(), 'nginx');
  await execa('objcopy', ['--strip-debug', serverBinary(port, variant), stripped]);
  const { stdout } = await execa('grep', [...strings, stripped], { reject: false });
  // Where the library is, which is not installed.
  expect(stdout.split('\n').filter(Boolean)).toHaveLength(variant === 'megapipe' ? 1 : 0);
});

test('the baseline has nothing of MegaPipe in it', async () => {
  const [baseline, ported] = await Promise.all(variants.map(symbols));
  expect(ported).toMatch(/\bmp_dispatch\b/);
  expect(ported).toMatch(/\bngx_megapipe_module\b/);
  expect(baseline).not.toMatch(/\b(?:mp_|ngx_megapipe)/);
});

test.each([false, true])('sanitizers in nginx (%s) come with those in the library', async (sanitize) => {
  const { stdout } = await execa('ldd', [serverBinary(port, 'megapipe', sanitize)]);
  const library = /^\s*libmegapipe\.so\.[\d.]+ => (\S+)/m.exec(stdout)?.[1] ?? '';
  expect(dirname(library)).toBe(dirname(libmegapipeArchive(sanitize)));
});

test('a change of the module compiles what depends on it', async () => {
  const sources = readdirSync(moduleFolder).filter((name) => name.endsWith('.c'));
  const headers = readdirSync(moduleFolder).filter((name) => name.endsWith('.h'));
  for (const name of sources) expect(await compiledAfter(join(modulePlace, name))).toEqual([name]);
  const library = join(root, 'libmegapipe/megapipe.h');
  const changedHeaders = [...headers.map((name) => join(modulePlace, name)), library];
  for (const header of changedHeaders) {
    expect(await compiledAfter(header)).toEqual(expect.arrayContaining(sources));
  }
});

testUnless(whyNotAsNobody())('a folder with nothing but nginx.conf is enough, for any user', async () => {
  const folder = makeFolder();
  writeFileSync(join(folder, 'nginx.conf'), 'events {}\nhttp {}\n');
  chmodSync(folder, 0o777);
  for (const variant of variants) {
    const options = { uid: nobody, gid: nobody, cwd: '/', reject: false } as const;
    const { stderr } = await execa(serverBinary(port, variant), ['-t', '-p', folder], options);
    expect(stderr).toContain(`configuration file ${folder}/nginx.conf test is successful`);
    expect(stderr.split('\n')).toHaveLength(2);
  }
  const owners = readdirSync(folder).map((name) => statSync(join(folder, name)).uid);
  expect(owners.filter((uid) => uid !== nobody)).toHaveLength(1);
});

test('the variant with sanitizers has them, and nginx’s debug log', async () => {
  const { stderr } = await execa(serverBinary(port, 'megapipe', true), ['-V']);
  expect(stderr).toContain('--with-debug');
  expect(stderr).toContain('-fsanitize=address,undefined');
});

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-nginx-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function describeBuild(variant: Variant) {
  const { stderr } = await execa(serverBinary(port, variant), ['-V']);
  const version = /^nginx version: (\S+)$/m.exec(stderr)?.[1];
  const { stdout } = await execa('grep', ['^CFLAGS', join(variantDirectory(port, variant), 'Makefile')]);
  const line = /^configure arguments: (.*)$/m.exec(stderr)?.[1] ?? '';
  return { version, flags: stdout, arguments: line.split(/ (?=--)/) };
}

async function symbols(variant: Variant): Promise<string> {
  return (await execa('nm', [serverBinary(port, variant)])).stdout;
}

/** The C files of ours that make would compile, were `file` newer. */
async function compiledAfter(file: string): Promise<string[]> {
  const makefile = join(variantDirectory(port, 'megapipe'), 'Makefile');
  const args = ['-f', makefile, '--dry-run', `--what-if=${file}`, 'build'];
  const { stdout } = await execa('make', args, { cwd: treeDirectory(port) });
  expect(stdout).toMatch(/ -o \S*megapipe\/nginx /);
  const compiled = [...stdout.matchAll(/(\S+\/)([^/\s]+\.c)$/gm)];
  const ours = compiled.filter(([, folder]) => folder?.includes('ports/nginx/module'));
  return ours.map(([, , name]) => name as string).sort();
}
