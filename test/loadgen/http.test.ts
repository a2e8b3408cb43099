import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { HttpResult } from '../../loadgen/http-result.js';
import { parsePerConnection, perConnectionSeries } from '../../loadgen/per-connection.js';
import { seededRandom } from '../../loadgen/random.js';
import { until } from '../waiting.js';
import { startChoppingProxy } from './chopping-proxy.js';
import { testOnEngines } from './engines.js';
import { type Answer, answerOf, startFakeHttp } from './fake-http.js';
import { loadHttp } from './loadgen.js';
import { type StockNginx, startNginx } from './stock-nginx.js';

let server: StockNginx;
const scratch = mkdtempSync(join(tmpdir(), 'megapipe-http-'));
beforeAll(async () => {
  server = await startNginx({
    workers: 2,
    server: `
      location / { return 200 "small answer"; }
      location /large { root html; }
      location = /none { return 204; }
      location = /missing { return 404; }
      location = /post { client_body_buffer_size 4m; client_max_body_size 4m; return 200 "taken"; }`,
  });
  writeFileSync(join(server.root, 'large'), Buffer.alloc(3_000_000, 'large '));
});
afterAll(async () => {
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

async function fake(answer?: Answer, options?: { unix?: boolean }) {
  const started = await startFakeHttp(answer, options);
  running.push(started);
  return started;
}

function expectNoErrors({ whole }: HttpResult) {
  expect(Object.entries(whole.errors).filter(([, count]) => count > 0)).toEqual([]);
  expect(whole.requests.failed).toBe(0);
}

type Counted = { accepts: number; requests: number; result: HttpResult };

function expectSameCounts({ accepts, requests, result }: Counted) {
  expectNoErrors(result);
  expect(requests).toBe(result.whole.requests.total);
  expect(accepts).toBe(result.whole.connections);
}

const must = ['--expect-status', '200', '--expect-length', '12'];
const right = ['--expect-crc32', crc32('small answer').toString(16).padStart(8, '0')];

describe('counts are nginx’s own', () => {
  const quick = ['--requests', '3000', '--concurrency', '32', ...must, ...right];
  const measured = (args: string[]) => server.counted(() => loadHttp([`${server.url}/`, ...args]));

  testOnEngines('one request a connection', async (engine) => {
    const both = await measured([...quick, '--engine', engine, '--requests-per-connection', '1']);
    expectSameCounts(both);
    const { result } = both;
    expect(result.requests).toEqual({ total: 3000, verified: 3000, failed: 0 });
    expect(result.statuses).toEqual({ 200: 3000 });
    expect(result.connections).toBe(3000);
    expect(result.bodyBytes).toBe(3000 * 12);
    expect(result.engine).toBe(engine);
  });

  testOnEngines('one request a connection, which nginx closes', async (engine) => {
    const once = ['--requests-per-connection', '1', '--announce-close', '--close', 'fin'];
    const both = await measured([...quick, '--engine', engine, ...once]);
    expectSameCounts(both);
    expect(both.result.connections).toBe(3000);
  });

  testOnEngines('seven requests a connection, pipelined, FIN', async (engine) => {
    const seven = ['--requests-per-connection', '7', '--pipeline', '3', '--close', 'fin'];
    const both = await measured([...quick, '--engine', engine, ...seven]);
    expectSameCounts(both);
    expect(both.result.requests.total).toBe(3000);
    expect(both.result.connections).toBeGreaterThanOrEqual(Math.ceil(3000 / 7));
    expect(both.result.connections).toBeLessThanOrEqual(Math.ceil(3000 / 7) + 32);
  });

  testOnEngines('any number of requests, pipelined deeply', async (engine) => {
    const both = await measured([...quick, '--engine', engine, '--pipeline', '50']);
    expectSameCounts(both);
    expect(both.result.requests.verified).toBe(3000);
  });

  testOnEngines('open loop', async (engine) => {
    const both = await measured([...quick, '--engine', engine, '--rate', '6000', '--arrival', 'poisson']);
    expectSameCounts(both);
    expect(both.result.schedule).toEqual({ rate: 6000, sent: 3000, unsent: 0 });
  });

  testOnEngines('over a UNIX socket', async (engine) => {
    const local = ['--unix', server.socket, '--engine', engine, '--requests-per-connection', '5'];
    expectSameCounts(await measured([...quick, ...local]));
  });

  testOnEngines('with answers of 3 MB', async (engine) => {
    const crc = crc32(Buffer.alloc(3_000_000, 'large ')).toString(16).padStart(8, '0');
    const large = ['--expect-status', '200', '--expect-length', '3000000', '--expect-crc32', crc];
    const both = await server.counted(() =>
      loadHttp([
        `${server.url}/large`,
        '--engine',
        engine,
        '--requests',
        '40',
        '--concurrency',
        '3',
        ...large,
      ]),
    );
    expectSameCounts(both);
    expect(both.result.requests).toEqual({ total: 40, verified: 40, failed: 0 });
    expect(both.result.bodyBytes).toBe(40 * 3_000_000);
  });

  testOnEngines('with bodies of 1 MB sent', async (engine) => {
    const file = join(scratch, 'body');
    writeFileSync(file, Buffer.alloc(1_000_000, 'body '));
    const post = ['--body-file', file, '--requests', '60', '--concurrency', '3', '--pipeline', '2'];
    const both = await server.counted(() =>
      loadHttp([`${server.url}/post`, '--engine', engine, ...post, '--expect-length', '5']),
    );
    expectSameCounts(both);
    expect(both.result.requests.verified).toBe(60);
    expect(both.result.bytesSent).toBeGreaterThan(60_000_000);
  });

  test('errors of the server are counted as such, and by status', async () => {
    const urls = [`${server.url}/`, `${server.url}/none`, `${server.url}/missing`];
    const { requests, result } = await server.counted(() =>
      loadHttp([...urls, '--requests', '300', '--threads', '1', '--concurrency', '4']),
    );
    expect(requests).toBe(300);
    expect(result.statuses).toEqual({ 200: 100, 204: 100, 404: 100 });
    expect(result.errors.server).toBe(100);
    expect(result.serverComplaint).toBe('GET /missing: status 404');
    expect(result.requests).toEqual({ total: 300, verified: 0, failed: 0 });
  });

  test('connections that nginx ends after so many requests are no errors', async () => {
    const short = await startNginx({
      requestsPerConnection: 10,
      server: 'location / { return 200 "small answer"; }',
    });
    running.push(short);
    const args = [`${short.url}/`, '--requests', '1000', '--concurrency', '8', ...must];
    const both = await short.counted(() => loadHttp(args));
    expectSameCounts(both);
    expect(both.result.connections).toBeGreaterThanOrEqual(100);
    // Behind an answer that announces the end, pipelined requests are lost: that is said.
    const pipelined = await loadHttp([...args, '--pipeline', '4']);
    expect(pipelined.errors.closed).toBeGreaterThan(0);
    expect(pipelined.requests.total + pipelined.requests.failed).toBe(1000);
  });
});

describe('what is sent', () => {
  const few = ['--requests', '12', '--concurrency', '1', '--threads', '1'];

  test('is GET with a host, and nothing else', async () => {
    const { url, port, requests } = await fake();
    await loadHttp([`${url}some/path?a=b`, ...few]);
    expect(requests).toHaveLength(12);
    for (const { method, path, headers, body } of requests) {
      expect({ method, path, body }).toEqual({ method: 'GET', path: '/some/path?a=b', body: '' });
      expect(headers).toEqual({ host: `127.0.0.1:${port}` });
    }
  });

  test('is any method, with headers', async () => {
    const { url, requests } = await fake();
    const headers = [
      '--header',
      'Accept: text/html',
      '--header',
      'host: example.org',
      '--header',
      'X-Empty:',
    ];
    await loadHttp([url, ...few, '--method', 'PURGE', ...headers]);
    expect(requests[0]).toMatchObject({
      method: 'PURGE',
      headers: { accept: 'text/html', host: 'example.org', 'x-empty': '', 'content-length': '0' },
    });
  });

  test('is a body, which makes it a POST', async () => {
    const { url, requests } = await fake();
    await loadHttp([url, ...few, '--body', 'a=b&c=d']);
    expect(requests.map(({ method, body }) => `${method} ${body}`)).toEqual(Array(12).fill('POST a=b&c=d'));
  });

  test('is HEAD, to which no body comes', async () => {
    const { url } = await fake((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n'));
    const result = await loadHttp([url, ...few, '--method', 'HEAD', '--expect-status', '200']);
    expectNoErrors(result);
    expect(result.requests.verified).toBe(12);
    expect(result.bodyBytes).toBe(0);
  });

  test('are URLs one after the other, on each thread', async () => {
    const { url, requests } = await fake();
    await loadHttp([`${url}a`, `${url}b`, `${url}c`, ...few]);
    expect(requests.map(({ path }) => path)).toEqual(Array(4).fill(['/a', '/b', '/c']).flat());
  });

  test('are URLs by their weights', async () => {
    const { url, requests } = await fake();
    await loadHttp([`${url}a`, `${url}b`, '--weights', '3,1', ...few, '--requests', '400']);
    const share = requests.filter(({ path }) => path === '/b').length / 400;
    expect(share).toBeCloseTo(0.25, 1);
  });

  test('says on a connection’s last request that it is the last', async () => {
    const { url, requests } = await fake();
    const args = [url, ...few, '--requests-per-connection', '4', '--announce-close'];
    await loadHttp(args);
    expect(requests.map(({ headers }) => headers.connection)).toEqual(
      Array(3).fill([undefined, undefined, undefined, 'close']).flat(),
    );
  });

  test('ends connections by RST, or by FIN', async () => {
    const reset = await fake();
    const often = ['--requests', '60', '--requests-per-connection', '2', '--concurrency', '2'];
    await loadHttp([reset.url, ...often]);
    await until('the server has seen it all', () => reset.resets + reset.ends >= reset.connections);
    expect(reset.resets).toBeGreaterThan(20);
    const fin = await fake();
    await loadHttp([fin.url, ...often, '--close', 'fin']);
    await until('the server has seen it all', () => fin.resets + fin.ends >= fin.connections - 2);
    expect(fin.ends).toBeGreaterThan(20);
  });
});

describe('requests a connection', () => {
  testOnEngines('are those of the distribution, one connection after the other', async (engine) => {
    const { url, requests } = await fake();
    const text = 'histogram:1=5,2=3,7=2';
    const one = ['--threads', '1', '--concurrency', '1', '--seed', '3', '--engine', engine];
    await loadHttp([url, ...one, '--requests', '400', '--requests-per-connection', text]);
    const distribution = parsePerConnection(text);
    const expected = perConnectionSeries(distribution ?? { kind: 'unlimited' }, seededRandom(3, 5));
    const counts: number[] = [];
    for (const { connection } of requests) counts[connection - 1] = (counts[connection - 1] ?? 0) + 1;
    // The last one was not finished.
    expect(counts.length).toBeGreaterThan(100);
    expect(counts.slice(0, -1)).toEqual([...expected.subarray(0, counts.length - 1)]);
  });

  test('are those of the distribution, with threads and many connections', async () => {
    const logged = await startNginx({ accessLog: true, server: 'location / { return 200 x; }' });
    running.push(logged);
    const args = ['--requests', '6000', '--concurrency', '8', '--threads', '2', '--seed', '4'];
    const result = await loadHttp([`${logged.url}/`, ...args, '--requests-per-connection', 'zipf:1.5,50']);
    expectNoErrors(result);
    await until('the server has seen it all', () => logged.accessLog().length >= 6000);
    const counts = new Map<string, number>();
    for (const line of logged.accessLog()) {
      const [connection = '', , path] = line.split(' ');
      if (path === '/') counts.set(connection, (counts.get(connection) ?? 0) + 1);
    }
    const seen = [...counts.values()];
    expect(seen.reduce((a, b) => a + b)).toBe(6000);
    const distribution = parsePerConnection('zipf:1.5,50');
    const series = perConnectionSeries(distribution ?? { kind: 'unlimited' }, seededRandom(4, 5));
    const ones = (list: number[]) => list.filter((n) => n === 1).length / list.length;
    expect(ones(seen)).toBeCloseTo(ones([...series]), 1);
    expect(Math.max(...seen)).toBeGreaterThan(20);
    expect(Math.max(...seen)).toBeLessThanOrEqual(50);
  });
});

describe('a server', () => {
  for (const pieces of [1, 23, 1000]) {
    testOnEngines(`whose answers come in pieces of ${pieces} bytes`, async (engine) => {
      const proxy = await startChoppingProxy(server.port, pieces);
      running.push(proxy);
      const args = ['--engine', engine, '--concurrency', '4', '--requests', '120', '--pipeline', '4'];
      const result = await loadHttp([`http://${proxy.address}/`, ...args, ...must, ...right]);
      expectNoErrors(result);
      expect(result.requests).toEqual({ total: 120, verified: 120, failed: 0 });
    });
  }

  testOnEngines('that answers in many forms is understood', async (engine) => {
    const forms: Answer[] = [
      (socket) => socket.write(answerOf('small answer')),
      (socket) =>
        socket.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsmall \r\n6\r\nanswer\r\n0\r\nA: b\r\n\r\n',
        ),
      (socket) => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${answerOf('small answer')}`),
      (socket) => socket.write(answerOf('small answer', 'X-Folded: a\r\n b\r\n')),
      (socket) => socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsmall answer'),
      (socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nsmall answer'),
      (socket) => socket.end(answerOf('small answer', 'Connection: close\r\n')),
    ];
    const { url, requests } = await fake((socket, request) =>
      forms[request.number % forms.length]?.(socket, request),
    );
    const args = ['--engine', engine, '--requests', '700', '--concurrency', '5', ...must, ...right];
    const result = await loadHttp([url, ...args]);
    expectNoErrors(result);
    expect(result.requests).toEqual({ total: 700, verified: 700, failed: 0 });
    expect(requests).toHaveLength(700);
  });

  testOnEngines('whose content is wrong is caught', async (engine) => {
    const { url } = await fake((socket, { number }) =>
      socket.write(answerOf(number % 4 === 0 ? 'small answeR' : 'small answer')),
    );
    const args = ['--engine', engine, '--requests', '200', '--concurrency', '4', ...must, ...right];
    const result = await loadHttp([url, ...args]);
    expect(result.errors.verification).toBe(50);
    expect(result.requests).toEqual({ total: 200, verified: 150, failed: 0 });
    const unchecked = await loadHttp([url, ...args, '--no-verify']);
    expect(unchecked.errors.verification).toBe(0);
    expect(unchecked.requests.verified).toBe(0);
  });

  testOnEngines('that answers with nonsense, resets, ends early: each is counted', async (engine) => {
    const { url } = await fake((socket, { number }) => {
      if (number % 10 === 1) return socket.write('what?\r\n\r\n');
      if (number % 10 === 2)
        return socket.write(answerOf('hello').slice(0, -2), () => socket.resetAndDestroy());
      if (number % 10 === 3) return socket.end(answerOf('hello').slice(0, -2));
      return socket.write(answerOf('hello'));
    });
    const result = await loadHttp([url, '--engine', engine, '--requests', '500', '--concurrency', '4']);
    expect(result.errors).toMatchObject({ protocol: 50, reset: 100, timeout: 0 });
    expect(result.requests).toMatchObject({ total: 350, failed: 150 });
    expect(result.serverComplaint).toMatch(/^not an answer of HTTP: /);
  });

  testOnEngines('that says nothing runs into --timeout', async (engine) => {
    const { url } = await fake((socket, { number }) => number % 10 !== 0 && socket.write(answerOf('hello')));
    const args = ['--engine', engine, '--requests', '100', '--concurrency', '4', '--timeout', '0.5'];
    const result = await loadHttp([url, ...args]);
    expect(result.errors.timeout).toBeGreaterThanOrEqual(10);
    expect(result.requests.total + result.requests.failed).toBe(100);
  });

  testOnEngines('that ends idle connections does nothing wrong', async (engine) => {
    const { url } = await fake((socket) => {
      socket.write(answerOf('hello'));
      setTimeout(() => socket.end(), 5);
    });
    const slow = ['--rate', '40', '--requests', '30', '--concurrency', '2', '--threads', '1'];
    const result = await loadHttp([url, '--engine', engine, ...slow]);
    // One that ends while a request is on its way to it can't be told from a crash.
    expect(result.requests.total + result.requests.failed).toBe(30);
    expect(result.errors.reset).toBe(result.requests.failed);
    expect(result.connections).toBeGreaterThan(2);
  });

  test('that answers before it has all of a body is understood', async () => {
    const { url } = await fake((socket) => socket.write(answerOf('hello')));
    const file = join(scratch, 'much');
    writeFileSync(file, Buffer.alloc(300_000, 'm'));
    const result = await loadHttp([url, '--body-file', file, '--requests', '20', '--concurrency', '2']);
    expectNoErrors(result);
    const refusing = await startNginx({
      server:
        'client_max_body_size 1k; location / { return 200 x; } location /p { proxy_pass http://127.0.0.1:1; }',
    });
    running.push(refusing);
    const refused = await loadHttp([
      `${refusing.url}/p`,
      '--body-file',
      file,
      '--requests',
      '20',
      '--concurrency',
      '2',
    ]);
    expect((refused.statuses[413] ?? 0) + refused.requests.failed).toBe(20);
  });
});

describe('latencies', () => {
  test('are of connecting, of the first byte and of all bytes', async () => {
    const { url } = await fake(async (socket) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.write(answerOf('hello').slice(0, -2));
      await new Promise((resolve) => setTimeout(resolve, 30));
      socket.write('lo');
    });
    const result = await loadHttp([
      url,
      '--requests',
      '20',
      '--concurrency',
      '2',
      '--requests-per-connection',
      '2',
    ]);
    const { connect, firstByte, service, corrected } = result.latencyUs;
    expect(corrected).toEqual(service);
    expect(connect?.p50).toBeGreaterThan(0);
    // Timers never fire early by more than a millisecond.
    expect(firstByte?.p50).toBeGreaterThan(19_000);
    expect(service?.p50).toBeGreaterThan(48_000);
    expect(service?.p50).toBeGreaterThan(firstByte?.p50 ?? Number.POSITIVE_INFINITY);
  });
});
