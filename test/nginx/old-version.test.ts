import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadPort } from '../../src/port/port.js';
import { engines } from '../engines.js';
import { megapipe } from '../megapipe.js';
import { testUnless } from '../skip.js';
import { ask } from './client.js';
import type { Kind } from './kinds.js';
import { get, readAnswer } from './raw-answers.js';
import { binaryOf, type Nginx, start } from './server.js';
import { httpUpstream } from './upstream.js';
import { until } from './waiting.js';

/*
 * The paper's nginx, with the module that newer versions have. Its source is in no distribution: a tarball, or a tree of
 * the tag release-1.0.15, is named in the environment. NGINX_TEST_VERSION runs whole files of tests with it.
 */
const version = '1.0.15';
const source = process.env.MEGAPIPE_NGINX_SOURCE_1_0_15;
const missing = source
  ? undefined
  : `nginx ${version} is not in Debian: name its source in MEGAPIPE_NGINX_SOURCE_1_0_15`;

const file = 'x'.repeat(2_000_000);
const limit_ms = 900_000;

if (missing !== undefined) {
  testUnless(missing)(`nginx ${version}: everything`, () => {});
} else {
  beforeAll(async () => {
    const args = ['build', 'nginx', '--version', version, '--source', source as string];
    const { exitCode, stderr } = await megapipe(args);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  }, limit_ms);
  describeOldVersion();
}

function describeOldVersion() {
  const stock: Kind = { name: 'stock', variant: 'baseline', engine: undefined, sanitize: false, version };
  const ported = engines.filter((one) => one.missing === undefined);
  const kinds: Kind[] = ported.map(({ engine }) => ({ ...stock, name: engine, variant: 'megapipe', engine }));

  test('one tree gives both variants, and nothing of it is changed for MegaPipe', async () => {
    const { stderr } = await execa(binaryOf({ ...stock, variant: 'megapipe' }), ['-V']);
    expect(stderr).toContain(`nginx version: nginx/${version}`);
    const { buildDirectory } = loadPort('nginx', version);
    const lines = JSON.parse(readFileSync(join(buildDirectory, 'lines.json'), 'utf8'));
    expect(lines.changed).toBe(0);
    expect(lines.application).toBeGreaterThan(80_000);
  });

  describe.each([stock, ...kinds])('$name', (kind) => {
    test('answers on connections that are kept, pipelined requests and large files', async () => {
      const server = 'keepalive_requests 100000; location /said { return 200 $request_uri; }';
      const nginx = await start(kind, { partition: true, server, files: { 'file.txt': file } });
      const connection = await nginx.connect();
      for (let i = 0; i < 100; i += 1) connection.write(get(`/said/${i}`));
      for (let i = 0; i < 100; i += 1) {
        expect((await readAnswer(connection)).body.toString()).toBe(`/said/${i}`);
      }
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(`${nginx.url}/file.txt`)));
      expect(answers.every(({ text }) => text === file)).toBe(true);
    });

    test('passes requests on to an upstream', async () => {
      const upstream = await httpUpstream((request, response) => response.end(`upstream: ${request.url}`));
      const server = `location / { proxy_pass http://127.0.0.1:${upstream.port}; }`;
      const nginx = await start(kind, { server });
      expect((await ask(`${nginx.url}/there`)).text).toBe('upstream: /there');
    });

    test('a reload, and a worker that dies, leave every queue served', async () => {
      const config = { partition: true, server: 'location / { return 200 hello; }' };
      const nginx = await start(kind, { ...config, expected: [/exited on signal 9/] });
      // The stock server of this version no longer answers all after it.
      if (kind.engine) await loseWorker(nginx);
      await allAnswered(nginx.url);
      const old = nginx.workers();
      nginx.signal('SIGHUP');
      await until('new workers alone serve', () => !nginx.workers().some((pid) => old.includes(pid)));
      await allAnswered(nginx.url);
      await nginx.end();
    });
  });
}

async function loseWorker(nginx: Nginx) {
  const [first] = nginx.workers();
  process.kill(first as number, 'SIGKILL');
  await until('it is replaced', () => !nginx.workers().includes(first as number));
}

async function allAnswered(url: string) {
  const answers = await Promise.all(Array.from({ length: 64 }, () => ask(url)));
  expect(answers.map(({ text }) => text)).toEqual(answers.map(() => 'hello'));
}
