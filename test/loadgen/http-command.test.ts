import { join } from 'node:path';
import { execa } from 'execa';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { httpResultSchema } from '../../loadgen/http-result.js';
import { root } from '../../src/base/paths.js';
import { type FakeHttp, startFakeHttp } from './fake-http.js';
import { loadHttp, runHttpLoad } from './loadgen.js';

let server: FakeHttp;
beforeAll(async () => {
  server = await startFakeHttp();
});
afterAll(() => server.stop());

const small = ['--concurrency', '4', '--threads', '2'];

describe('--json', () => {
  test('holds together', async () => {
    const result = await loadHttp([server.url, ...small, '--duration', '1.5', '--warmup', '0']);
    expect(result.window.seconds).toBeGreaterThanOrEqual(1.5);
    expect(result.throughputRps).toBeCloseTo(result.requests.total / result.window.seconds, 5);
    expect(result.throughputKBps).toBeCloseTo(result.bytesReceived / 1000 / result.window.seconds, 5);
    expect(result.bodyKBps).toBeCloseTo(result.bodyBytes / 1000 / result.window.seconds, 5);
    expect(Object.values(result.statuses).reduce((a, b) => a + b, 0)).toBe(result.requests.total);
    const histogram = decodeFromCompressedBase64(result.histogram.service);
    expect(histogram.totalCount).toBe(result.requests.total);
    expect(result.series.reduce((sum, { requests }) => sum + requests, 0)).toBe(result.requests.total);
    expect(result.config).toMatchObject({ protocol: 'http', urls: [server.url], duration: 1.5 });
    expect(result.interrupted).toBe(false);
  });
});

describe('the command', () => {
  test('prints a table', async () => {
    const { stdout, exitCode } = await runHttpLoad([server.url, ...small, '--requests', '500']);
    expect(exitCode).toBe(0);
    for (const row of [
      /requests\/s/,
      /kB\/s/,
      /statuses .*200: 500/,
      /to the first byte, us/,
      /connecting, us/,
    ])
      expect(stdout).toMatch(row);
  });

  test('says with --events when the window begins and ends', async () => {
    const args = [...small, '--duration', '0.5', '--warmup', '0.1', '--events', '--json'];
    const { stdout, stderr } = await runHttpLoad([server.url, ...args]);
    const events = stderr.split('\n').map((line) => JSON.parse(line));
    expect(events.map(({ event }) => event)).toEqual(['measuring', 'measured']);
    httpResultSchema.parse(JSON.parse(stdout));
  });

  test('ends early at Ctrl-C, and says what it has measured', async () => {
    const args = ['--duration', '60', '--warmup', '0', '--json', '--events'];
    const child = runHttpLoad([server.url, ...small, ...args]);
    const answered = server.requests.length;
    const interrupt = setInterval(() => {
      if (server.requests.length < answered + 10) return;
      clearInterval(interrupt);
      child.kill('SIGINT');
    }, 50);
    const { stdout, exitCode } = await child;
    expect(exitCode).toBe(0);
    const result = httpResultSchema.parse(JSON.parse(String(stdout)));
    expect(result.interrupted).toBe(true);
    expect(result.requests.total).toBeGreaterThan(0);
    expect(result.window.seconds).toBeLessThan(60);
  });

  test('keeps one line on a terminal up to date', async () => {
    const command = [process.execPath, join(root, 'dist/src/cli.js'), 'load', 'http', server.url];
    const line = [...command, ...small, '--duration', '2.5'].join(' ');
    const { stdout } = await execa('script', ['-qec', line, '/dev/null'], { env: { COLUMNS: '120' } });
    expect(stdout).toMatch(/measuring: \d+ requests\/s, p50 \d+ us, p99 \d+ us, 4 connections/);
  });

  test('fails clearly where nothing listens', async () => {
    const refused = await runHttpLoad(['http://127.0.0.1:1/']);
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
    expect(refused.stderr).toBe(
      'megapipe: no connection to the HTTP server at 127.0.0.1:1: ECONNREFUSED; is it running, and reachable?',
    );
    const absent = await runHttpLoad(['http://x/', '--unix', '/nonexistent/socket']);
    expect(absent.stderr).toContain('no connection to the HTTP server at /nonexistent/socket: ENOENT');
  });

  test('fails clearly where something else listens', async () => {
    const other = await startFakeHttp((socket) => socket.write('ERROR\r\n'));
    const { exitCode, stderr } = await runHttpLoad([other.url, '--requests', '20', '--concurrency', '2']);
    await other.stop();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /nothing could be measured at the HTTP server at .*20 protocol errors, not an answer of HTTP/,
    );
  });

  test.for([
    ['ftp://127.0.0.1/', 'only http:// is spoken, not ftp://'],
    ['https://127.0.0.1/', 'only http:// is spoken, not https://'],
    ['127.0.0.1:80', 'is not a URL like http://host:port/path'],
    ['http://a:b@127.0.0.1/', 'a name and a password go into --header'],
    [
      'http://127.0.0.1:1/ http://127.0.0.1:2/',
      'all URLs must be of one server, not of 127.0.0.1:1 and 127.0.0.1:2',
    ],
    ['URL --unix=', '--unix needs a path'],
    [
      'URL --requests-per-connection 0',
      '--requests-per-connection must be a whole number from 1, unlimited, uniform',
    ],
    ['URL --method CONNECT', '--method must not be CONNECT'],
    ['URL --method G(ET', '--method must be a method like GET'],
    ['URL --header Nonsense', '--header must be a header like'],
    ['URL --header Content-Length:5', '--header must leave the length to --body'],
    ['URL --body x --method GET', '--method GET has no body'],
    ['URL --body x --body-file y', 'give --body or --body-file, not both'],
    ['URL --body-file /nonexistent/file', '--body-file: ENOENT'],
    ['URL --weights 1', '--weights must be 2, one a URL, not 1'],
    ['URL --weights 1,none', '--weights must be numbers above 0'],
    ['URL --workload google', '--workload must be specweb, yahoo, yahoo/2'],
    ['URL --workload yahoo --trace x', 'give --workload or --trace, not both'],
    ['URL --workload yahoo --method POST', '--workload needs --method GET or HEAD'],
    ['URL URL2 --workload yahoo', '--workload needs one URL'],
    ['URL --expect-status 99', '--expect-status must be a whole number from 100 to 599'],
    ['URL --expect-length x', '--expect-length must be a whole number'],
    ['URL --expect-crc32 12', '--expect-crc32 must be eight hexadecimal digits'],
    ['URL --duration 1 --requests 5', 'give --duration or --requests, not both'],
    ['URL --threads 8 --concurrency 4', '--threads 8 need at least as many connections'],
  ] as const)('names what is wrong with %s', async ([line, message]) => {
    const urls =
      line.includes('--weights 1') && !line.includes(',') ? 'http://127.0.0.1:1/a http://127.0.0.1:1/b' : '';
    const args = line
      .replace('URL2', 'http://127.0.0.1:1/b')
      .replace(/^URL/, urls || 'http://127.0.0.1:1/')
      .split(' ');
    const { exitCode, stderr } = await runHttpLoad(args);
    expect(stderr).toContain(message);
    expect(exitCode).toBe(2);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test('needs a URL', async () => {
    const { exitCode, stderr } = await runHttpLoad([]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('URL');
  });
});
