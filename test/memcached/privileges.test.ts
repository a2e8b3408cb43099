import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { engines } from '../engines.js';
import { type Certificate, makeCertificate } from '../nginx/certificate.js';
import { testUnless } from '../skip.js';
import { until } from '../waiting.js';
import { fill, setAndGet } from './exchanges.js';
import { megapipe, type Server, start } from './server.js';

let folder: string;
let certificate: Certificate;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'megapipe-privileges-'));
  certificate = await makeCertificate(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** How many threads of a server have a seccomp filter. */
function filtered(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.filter((task) =>
    /^Seccomp:\t2$/m.test(readFileSync(`/proc/${pid}/task/${task}/status`, 'latin1')),
  ).length;
}

/** What makes a worker ask the kernel for something out of the ordinary. */
async function useEverything(server: Server) {
  await fill(server, 100, 1000);
  for (const length of [0, 4096, 100_000, 2_000_000]) await setAndGet(server, length);
  const connection = await server.connect();
  expect(await connection.ask('stats', 'END\r\n')).toMatch(/STAT drop_privileges yes|STAT pid/);
  expect(await connection.ask('stats conns', 'END\r\n')).toMatch(/tcp:127/);
  expect(await connection.ask('stats megapipe', 'END\r\n')).toMatch(/STAT accepted/);
  expect(await connection.ask('lru_crawler metadump all', 'END\r\n')).toMatch(/^key=/);
  expect(await connection.ask('lru_crawler disable')).toBe('OK\r\n');
  await until(
    'it is disabled, and can be enabled',
    async () => (await connection.ask('lru_crawler enable')) === 'OK\r\n',
  );
  // By the thread that the worker has made just now.
  expect(await connection.ask('lru_crawler metadump all', 'END\r\n')).toMatch(/^key=/);
  const watcher = await server.connect();
  expect(await watcher.ask('watch connevents')).toBe('OK\r\n');
  (await server.connect()).destroy();
  expect(await watcher.until('type=conn_close')).toMatch(/type=conn_new/);
  connection.destroy();
}

/** Beyond its limit: accepting stops, and goes on. */
async function fillUp(server: Server, limit: number) {
  const connections = Array.from({ length: limit + 10 }, () => server.connect());
  const first = await Promise.race(connections);
  await until('accepting has stopped', async () => {
    const answer = await first.ask('stats', 'END\r\n');
    return /STAT listen_disabled_num [1-9]/.test(answer);
  });
  first.destroy();
  for (const connection of connections) {
    const one = await connection;
    if (one !== first) expect(await one.ask('version')).toMatch(/^VERSION/);
    one.destroy();
  }
}

// Not sanitized: a sanitizer asks the kernel for more than a filter of memcached's lets through.
for (const { engine, missing } of engines) {
  for (const secure of [false, true]) {
    const startFiltered = (...more: string[]) =>
      start({
        tls: secure ? certificate : undefined,
        // Which alone knows how to relax.
        debug: more.includes('relaxed_privileges'),
        args: [...megapipe(engine, 'drop_privileges', ...more), '-t', '2', '-c', '50', '-I', '4m'],
      });

    for (const more of [[], ['relaxed_privileges'], ['no_megapipe_lwsocket']]) {
      const what = [...more, ...(secure ? ['TLS'] : [])].join(', ') || 'as it is';
      testUnless(missing)(`${engine}: all works in a sandbox: ${what}`, async () => {
        const server = await startFiltered('no_maxconns_fast', ...more);
        // The main thread and its two workers; a worker that wakes the crawler gives it its own filter.
        await until('all are in it', () => filtered(server.process.pid as number) >= 3);
        await useEverything(server);
        await fillUp(server, 50);
        expect(await server.end()).toMatchObject({
          exitCode: 0,
          output: expect.not.stringMatching(/Seccomp/),
        });
      });
    }
  }

  testUnless(missing)(`${engine}: what has no business in a sandbox ends the server`, async () => {
    // This build alone knows the command.
    const server = await start({ debug: true, args: megapipe(engine, 'drop_privileges') });
    await until('all are in it', () => filtered(server.process.pid as number) >= 5);
    const connection = await server.connect();
    connection.write('misbehave\r\n');
    await connection.rest();
    expect((await server.process).all).toMatch(/Seccomp policy failure/);
  });
}
