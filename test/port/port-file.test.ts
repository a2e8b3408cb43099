import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { UserError } from '../../src/base/errors.js';
import { findApplication } from '../../src/bench/applications.js';
import { loadPort } from '../../src/port/port.js';
import { megapipe } from '../megapipe.js';
import { build, makePort } from './fixture.js';

const sha256 = 'a'.repeat(64);
const right = {
  name: 'hello',
  kind: 'make',
  version: '1.0',
  licence: 'MIT',
  upstream: { url: 'http://127.0.0.1:1/hello-1.0.tar.gz', sha256 },
  products: ['hello'],
};

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** The folder of a port with this port.json and nothing else. */
function folderOf(content: object | string): string {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-port-'));
  folders.push(folder);
  writeFileSync(join(folder, 'port.json'), typeof content === 'string' ? content : JSON.stringify(content));
  return folder;
}

/** What is said of it, as the command line prints it, without the file's name. */
function complaint(look: (folder: string) => unknown, content: object | string): string {
  const folder = folderOf(content);
  try {
    look(folder);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return `${error.message}; ${error.hint}`
      .replace(join(folder, 'port.json'), 'FILE')
      .replaceAll(folder, 'FOLDER');
  }
  throw new Error('nothing is wrong with it');
}

const { products: _products, ...without } = right;
const serve = { protocol: 'http' };

describe('a port.json that is wrong', () => {
  test.each([
    ['unknown kind', { ...right, kind: 'cmake' }, 'kind: "cmake", and not one of autoconf, nginx, make'],
    ['missing kind', { ...right, kind: undefined }, 'kind: missing, and not one of autoconf, nginx, make'],
    ['missing field', without, 'products: missing'],
    ['field of another kind', { ...right, configure: [] }, 'configure: no such field'],
    ['misspelt field', { ...right, make: { argument: [] } }, 'make.argument: no such field'],
    ['wrong type', { ...right, make: { arguments: ['a', 1] } }, 'make.arguments.1: '],
    [
      'wrong sum',
      { ...right, upstream: { ...right.upstream, sha256: 'f00' } },
      'upstream.sha256: a sha256 is 64 hex',
    ],
    [
      'no source',
      { ...right, upstream: undefined },
      'says nowhere what the source is: give debian or upstream',
    ],
    [
      'bad variable',
      { ...right, make: { environment: { 'A B': '' } } },
      'make.environment.A B: no name of a variable',
    ],
    [
      'unknown protocol',
      { ...right, serve: { protocol: 'ftp' } },
      'serve.protocol: "ftp", and not one of http, ',
    ],
    ['a path for a name', { ...right, name: '../hello' }, 'name: a name of letters'],
  ])('%s: the field is named, and what is wrong with it', (_what, content, wrong) => {
    const said = complaint(loadPort, content);
    expect(said).toContain(`FILE is wrong: ${wrong}`);
    expect(said).toMatch(/; correct it; what it may hold: npx megapipe build --schema$/);
    expect(said).not.toContain('\n');
  });

  test('what is no JSON is said to be none', () => {
    expect(complaint(loadPort, '{')).toMatch(/^FILE is not JSON: .*; correct it$/);
  });

  test.each([
    ['no serve', right, 'how its server is run: serve is missing; add it'],
    [
      'a name of ours',
      { ...right, serve, name: 'nginx' },
      'name: nginx is taken by one of the kit’s own; give it',
    ],
  ])('%s: it can’t be served', (_what, content, wrong) => {
    expect(complaint((folder) => findApplication(folder), content)).toContain(wrong);
  });

  test('in one line on the command line, too', async () => {
    const { stderr, exitCode } = await megapipe(['build', folderOf({ ...right, kind: 'cmake' })]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^megapipe: \/.*\/port\.json is wrong: kind: "cmake".*; correct it; .*--schema$/);
  });

  test('a folder of files that is not there is named', async () => {
    const fixture = await makePort({ files: { from: 'mine' } });
    const { stderr } = await build(fixture, '--source', fixture.tarball);
    expect(stderr).toMatch(
      /^megapipe: .*port\.json is wrong: files\.from: there is no .*\/mine; name a folder/m,
    );
  });

  test('a tarball with another sum is refused, and both sums named', async () => {
    const fixture = await makePort({ upstream: right.upstream });
    const { stderr, exitCode } = await build(fixture, '--source', fixture.tarball);
    expect(exitCode).toBe(1);
    const said = stderr.split('\n').at(-1);
    expect(said).toMatch(/^megapipe: the sha256 of \S+ is \w+, but \w+ was expected: .*; .* --sha256$/);
    expect(said?.match(/[0-9a-f]{64}/g)).toEqual([fixture.sha256, sha256]);
  });
});

type Schema = { properties?: Record<string, Schema>; oneOf?: Schema[]; items?: Schema; description?: string };

/** The paths of all fields, and which of them are not described. */
function fieldsOf(schema: Schema, path: string): { path: string; described: boolean }[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [
    { path: `${path}${name}`, described: (field.description ?? '') !== '' },
    ...fieldsOf(field, `${path}${name}.`),
  ]);
  return [...own, ...(schema.oneOf ?? []).flatMap((one) => fieldsOf(one, path))];
}

test('build --schema describes every field that a port.json may hold', async () => {
  const { stdout, exitCode } = await megapipe(['build', '--schema']);
  expect(exitCode).toBe(0);
  const schema: Schema = JSON.parse(stdout);
  const fields = fieldsOf(schema, '');
  expect(fields.map(({ path }) => path)).toEqual(
    expect.arrayContaining([
      'kind',
      'debian.patches',
      'make.environment',
      'files.to',
      'serve.megapipe.arguments',
    ]),
  );
  expect(fields.filter(({ described }) => !described)).toEqual([]);
  const kinds = schema.oneOf?.map(({ properties }) => properties?.kind);
  expect(kinds).toEqual(
    ['autoconf', 'nginx', 'make'].map((kind) => expect.objectContaining({ const: kind })),
  );
});
