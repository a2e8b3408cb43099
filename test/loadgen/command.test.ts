import { join } from 'node:path';
import { execa } from 'execa';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadResultSchema } from '../../loadgen/memcached-result.js';
import { root } from '../../src/base/paths.js';
import { until } from '../waiting.js';
import { load, runLoad } from './loadgen.js';
import { type StockMemcached, startMemcached } from './stock-memcached.js';

let server: StockMemcached;
beforeAll(async () => {
  server = await startMemcached();
});
afterAll(() => server.stop());

const gets = async () => (await server.stats()).cmd_get ?? 0;

const small = ['--keys', '100', '--concurrency', '8', '--threads', '2'];

describe('--json', () => {
  test('holds together', async () => {
    const result = await load(['--server', server.address, ...small, '--duration', '2.5', '--warmup', '0.1']);
    expect(result.window.seconds).toBeGreaterThanOrEqual(2.5);
    expect(result.throughputRps).toBeCloseTo(result.requests.total / result.window.seconds, 5);
    expect(result.requests.total).toBe(result.requests.get + result.requests.set);
    expect(result.requests.get).toBe(result.requests.hits + result.requests.misses);
    const { monotonicNs } = result.window.end;
    expect(monotonicNs - result.window.start.monotonicNs).toBeCloseTo(result.window.seconds * 1e9, -1);
    expect(result.config).toMatchObject({ keys: '100', concurrency: '8', threads: 2, duration: 2.5 });
    expect(result.interrupted).toBe(false);
  });

  test('has a histogram of all requests, and a second-by-second series that adds up', async () => {
    const result = await load(['--server', server.address, ...small, '--duration', '4.5', '--warmup', '0']);
    const histogram = decodeFromCompressedBase64(result.histogram.service);
    expect(histogram.totalCount).toBe(result.requests.total);
    expect(Math.round(histogram.getValueAtPercentile(99)) / 1000).toBe(result.latencyUs.service?.p99);
    expect(result.latencyUs.corrected).toEqual(result.latencyUs.service);
    expect(result.series.length).toBeGreaterThanOrEqual(3);
    expect(result.series.reduce((sum, { requests }) => sum + requests, 0)).toBe(result.requests.total);
    const seconds = result.series.reduce((sum, { lengthS }) => sum + lengthS, 0);
    expect(seconds).toBeCloseTo(result.window.seconds, 6);
    const times = result.series.map(({ atS }) => atS);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  test('accounts for each thread’s time', async () => {
    const result = await load(['--server', server.address, ...small, '--duration', '2', '--warmup', '0']);
    expect(result.threads).toHaveLength(2);
    for (const { runningShare, waitingShare, idleShare } of result.threads) {
      expect(runningShare).toBeGreaterThan(0);
      expect((waitingShare ?? 0) + (idleShare ?? 0) + runningShare).toBeLessThan(1.5);
    }
    expect(result.clientCpu.systemSeconds).toBeGreaterThan(0);
    expect(result.kernelCrossings).toBeGreaterThan(0);
    expect(result.clientSaturated).toBe(result.clientLimit !== 'none');
    expect(result.clientLimitReason === null).toBe(result.clientLimit === 'none');
  });
});

describe('the command', () => {
  test('prints a table', async () => {
    const { stdout, exitCode } = await runLoad(['--server', server.address, ...small, '--requests', '500']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/requests\/s/);
    expect(stdout).toMatch(/p99/);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toMatch(/errors\s.*\bno\b/);
  });

  test('says with --events when the window begins and ends', async () => {
    const args = ['--server', server.address, ...small, '--duration', '0.5', '--warmup', '0.1', '--events'];
    const { stdout, stderr } = await runLoad([...args, '--json']);
    const events = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.map(({ event }) => event)).toEqual(['measuring', 'measured']);
    const { window } = loadResultSchema.parse(JSON.parse(stdout));
    expect(events[0].monotonicNs).toBeGreaterThanOrEqual(window.start.monotonicNs);
    expect(events[1].monotonicNs).toBeGreaterThanOrEqual(window.end.monotonicNs);
  });

  test('ends early at Ctrl-C, and says what it has measured', async () => {
    const args = [
      '--server',
      server.address,
      ...small,
      '--duration',
      '60',
      '--warmup',
      '0',
      '--json',
      '--events',
    ];
    const running = runLoad(args);
    await new Promise((resolve) => running.stderr.once('data', resolve));
    const before = await gets();
    await until('it has measured something', async () => (await gets()) > before + 1000);
    running.kill('SIGINT');
    const { stdout, exitCode } = await running;
    expect(exitCode).toBe(0);
    const result = loadResultSchema.parse(JSON.parse(stdout));
    expect(result.interrupted).toBe(true);
    expect(result.requests.total).toBeGreaterThan(0);
    expect(result.window.seconds).toBeLessThan(60);
  });

  test('keeps one line on a terminal up to date', async () => {
    const command = [process.execPath, join(root, 'dist/src/cli.js'), 'load', 'memcached'];
    const line = [...command, '--server', server.address, ...small, '--duration', '4.2'].join(' ');
    const { stdout } = await execa('script', ['-qec', line, '/dev/null'], {
      env: { COLUMNS: '120', NO_COLOR: '1' },
    });
    expect(stdout).toMatch(/measuring: \d+ requests\/s, p50 \d+ us, p99 \d+ us, 8 connections/);
    expect(stdout).toMatch(/requests\/s/);
    // The line is written over again and again; nothing is in colours.
    expect(stdout.split('\u001b[').some((after) => /^[\d;]+m/.test(after))).toBe(false);
  });

  test('fails clearly where nothing listens', async () => {
    const refused = await runLoad(['--server', '127.0.0.1:1']);
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
    expect(refused.stderr).toBe(
      'megapipe: no connection to the memcached server at 127.0.0.1:1: ECONNREFUSED; is it running, and reachable?',
    );
    const absent = await runLoad(['--server', 'unix:/nonexistent/socket', '--json']);
    expect(absent.exitCode).toBe(1);
    expect(absent.stderr).toContain('ENOENT');
  });

  test('refuses an engine that this machine has not got', async () => {
    const { exitCode, stderr } = await runLoad(['--server', server.address, '--engine', 'kernel']);
    if (exitCode === 0) return; // the module is loaded
    expect(stderr).toMatch(/^megapipe: the load engine can't start with --engine kernel: ENODEV;/);
  });

  test.for([
    ['--server x', '--server must be HOST:PORT'],
    ['--server 127.0.0.1:70000', '--server must be HOST:PORT'],
    ['--server unix:', '--server: unix: needs a path'],
    ['--threads 0', '--threads must be a whole number from 1 to 1024, not "0"'],
    ['--threads 8 --concurrency 4', '--threads 8 need at least as many connections'],
    ['--cpus 0,99999', '--cpus must be a list of CPUs like 0,2-3'],
    ['--concurrency 1000000', 'above the limit on open files'],
    ['--requests-per-connection 0', '--requests-per-connection must be a whole number from 1, or unlimited'],
    ['--close politely', '--close must be rst or fin, not "politely"'],
    ['--duration 1 --requests 5', 'give --duration or --requests, not both'],
    ['--duration -1', '--duration must be a number of seconds above 0'],
    ['--get-set 0:0', '--get-set must be two whole numbers, not both 0'],
    ['--key-size 251', '--key-size must lie within 1 and 250 bytes'],
    ['--value-size uniform:9-3', '--value-size must be fixed:N, uniform:A-B'],
    ['--value-size 9000000', '--value-size must lie within 0 and 8388608 bytes'],
    ['--popularity zipf:0', '--popularity must be uniform, or zipf:ALPHA'],
    ['--multiget 5 --get-set 0:1', '--multiget needs gets'],
    ['--protocol meta', '--protocol must be ascii or binary'],
    ['--rate fast', '--rate must be requests a second above 0, or steps'],
    ['--engine kqueue', '--engine must be auto, kernel, uring or epoll'],
    ['--batch 0', '--batch must be a whole number from 1 to 4096'],
    ['--timeout 0', '--timeout must be a number of seconds above 0'],
    ['--seed 1.5', '--seed must be a whole number'],
    ['--unheard-of', 'unknown option'],
  ])('names what is wrong with %s', async ([args, message]) => {
    const server = args?.startsWith('--server') ? [] : ['--server', '127.0.0.1:1'];
    const { exitCode, stderr } = await runLoad([...server, ...(args ?? '').split(' ')]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});
