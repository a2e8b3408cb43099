import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { readTrace } from '../../loadgen/http-trace.js';
import { root } from '../../src/base/paths.js';
import { testOnEngines } from './engines.js';
import { type Answer, answerOf, type Received, startFakeHttp } from './fake-http.js';
import { loadHttp, runHttpLoad } from './loadgen.js';

const scratch = mkdtempSync(join(tmpdir(), 'megapipe-trace-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

async function fake(answer?: Answer) {
  const started = await startFakeHttp(answer);
  running.push(started);
  return started;
}

let traces = 0;
function trace(...lines: string[]): string {
  const file = join(scratch, `trace-${traces++}.csv`);
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

/** What came over each connection, in its order; the connections in any. */
function conversations(requests: Received[]): string[] {
  const list: string[] = [];
  for (const { connection, method, path } of requests)
    list[connection] = `${list[connection] ?? ''}${method} ${path} `;
  return list.filter(Boolean).sort();
}

const mixed = trace(
  'connection,path,method',
  '# connections overlap, as they do',
  'a,/a1,',
  'b,/b1,HEAD',
  'a,/a2,GET',
  '',
  'c,/a1,',
  'b,/b2,',
  'a,/a3,',
);
const said = ['GET /a1 ', 'GET /a1 GET /a2 GET /a3 ', 'HEAD /b1 GET /b2 '];

const byMethod: Answer = (socket, { method }) =>
  socket.write(method === 'HEAD' ? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n' : answerOf('hello'));

describe('a trace of connections', () => {
  testOnEngines('is replayed once, each connection with its requests in order', async (engine) => {
    for (const [concurrency, threads] of [
      ['1', '1'],
      ['2', '2'],
      ['8', '2'],
    ] as const) {
      const { url, requests } = await fake(byMethod);
      const how = ['--engine', engine, '--concurrency', concurrency, '--threads', threads];
      const result = await loadHttp([url, '--trace', mixed, ...how]);
      expect(conversations(requests)).toEqual(said);
      expect(result.requests).toMatchObject({ total: 6, failed: 0 });
      expect(result.connections).toBe(3);
    }
  });

  test('is replayed with pipelining and at a rate', async () => {
    for (const how of [
      ['--pipeline', '3'],
      ['--rate', '500', '--concurrency', '2'],
    ]) {
      const { url, requests } = await fake(byMethod);
      await loadHttp([url, '--trace', mixed, ...how]);
      expect(conversations(requests)).toEqual(said);
    }
  });

  testOnEngines('goes round and round with --requests or --duration', async (engine) => {
    const { url, requests } = await fake(byMethod);
    const one = ['--engine', engine, '--concurrency', '1', '--threads', '1'];
    const result = await loadHttp([url, '--trace', mixed, ...one, '--requests', '60']);
    expect(result.requests.total).toBe(60);
    expect(conversations(requests)).toEqual(said.flatMap((text) => Array(10).fill(text)));
  });

  testOnEngines('of many connections is replayed to the last request', async (engine) => {
    const connections = Array.from({ length: 700 }, (_, i) => 1 + ((i * 7) % 13));
    const lines = connections.flatMap((n, c) => Array.from({ length: n }, (_, i) => `${c},/${c}/${i}`));
    const { url, requests } = await fake();
    const how = ['--engine', engine, '--concurrency', '9', '--threads', '2'];
    const result = await loadHttp([url, '--trace', trace('connection,path', ...lines), ...how]);
    expect(result.connections).toBe(700);
    expect(requests.map(({ path }) => path).sort()).toEqual(lines.map((line) => line.split(',')[1]).sort());
    expect(conversations(requests)).toHaveLength(700);
  });

  testOnEngines('goes on over a new connection where the server ends one', async (engine) => {
    const { url, requests } = await fake((socket, { onConnection, number }) => {
      if (number % 17 === 0) return socket.resetAndDestroy();
      return onConnection === 3
        ? socket.end(answerOf('hello', 'Connection: close\r\n'))
        : socket.write(answerOf('hello'));
    });
    const lines = Array.from({ length: 300 }, (_, i) => `${Math.floor(i / 10)},/${i}`);
    const how = ['--engine', engine, '--concurrency', '4', '--threads', '2'];
    const result = await loadHttp([url, '--trace', trace('connection,path', ...lines), ...how]);
    expect(result.requests.total + result.requests.failed).toBe(300);
    expect(result.errors.reset).toBe(result.requests.failed);
    expect(requests).toHaveLength(300);
    expect(new Set(requests.map(({ path }) => path)).size).toBe(300);
  });

  test('says what answers must be', async () => {
    const { url } = await fake((socket, { path }) =>
      socket.write(
        path === '/gone' ? 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n' : answerOf('hello'),
      ),
    );
    const crc = crc32('hello').toString(16).padStart(8, '0');
    const lines = [
      `1,/,200,5,${crc}`,
      '1,/gone,404,0,',
      `2,/,200,6,`,
      `2,/,200,5,00000000`,
      '3,/gone,,,',
      '3,/,,,',
    ];
    const file = trace('connection,path,status,length,crc32', ...lines);
    const result = await loadHttp([url, '--trace', file]);
    expect(result.requests).toEqual({ total: 6, verified: 2, failed: 0 });
    expect(result.errors).toMatchObject({ verification: 2, server: 1 });
  });
});

test('the manual’s example is one', () => {
  const manual = readFileSync(join(root, 'loadgen/README.md'), 'utf8');
  const example = /```\n(connection,[\s\S]*?)```/.exec(manual)?.[1] ?? '';
  const read = readTrace(readFileSync(trace(example)), { method: 'GET', path: '/', expect: {} });
  expect(read).toEqual({
    connections: [
      [
        { method: 'GET', path: '/index.html', expect: { status: 200, length: 5120 } },
        { method: 'GET', path: '/style.css', expect: { crc32: 0x8c736521 } },
      ],
      [{ method: 'HEAD', path: '/logo.png', expect: { status: 200 } }],
    ],
  });
});

test('a trace of paths alone is walked by connections of --requests-per-connection', async () => {
  const { url, requests } = await fake();
  const file = trace('path', '/1', '/2', '/3');
  const one = ['--concurrency', '1', '--threads', '1', '--requests-per-connection', '2', '--requests', '6'];
  await loadHttp([url, '--trace', file, ...one]);
  expect(requests.map(({ connection, path }) => `${connection}${path}`)).toEqual([
    '1/1',
    '1/2',
    '2/3',
    '2/1',
    '3/2',
    '3/3',
  ]);
});

describe('what is wrong with a trace is said', () => {
  test.for([
    [['connection'], 'line 1: must name the columns, path and any of'],
    [['path,size', '/,1'], 'line 1: must name the columns'],
    [['path,path', '/,/'], 'line 1: must name the columns'],
    [['path'], 'there are no requests'],
    [['connection,path', '1'], 'line 2: has 1 columns, not 2'],
    [['path', '/a', 'b'], 'line 3: path must be a path without blanks, like /index.html, not "b"'],
    [['path,status', '/a,20'], 'line 2: status must be a status from 100 to 599, not "20"'],
    [['path,length', '/a,-1'], 'line 2: length must be a number of bytes'],
    [['path,crc32', '/a,xyz'], 'line 2: crc32 must be eight hexadecimal digits'],
    [['connection,path', ',/a'], 'line 2: connection must be a name'],
  ] as const)('%j', async ([lines, message]) => {
    const { exitCode, stderr } = await runHttpLoad(['http://127.0.0.1:1/', '--trace', trace(...lines)]);
    expect(stderr).toContain(message);
    expect(exitCode).toBe(2);
  });

  test('a file that isn’t there', async () => {
    const { exitCode, stderr } = await runHttpLoad(['http://127.0.0.1:1/', '--trace', '/nonexistent/trace']);
    expect(stderr).toMatch(/^megapipe: --trace: ENOENT/);
    expect(exitCode).toBe(2);
  });
});
