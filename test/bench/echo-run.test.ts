import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { whyNoTracing } from '../../src/bench/trace.js';
import type { OkSample } from '../../src/results/schema.js';
import { engines } from '../engines.js';
import { testUnless } from '../skip.js';
import { newResults, runOf, start } from './running.js';

const files: string[] = [];

afterEach(() => {
  for (const file of files.splice(0)) rmSync(dirname(file), { recursive: true });
});

/** A run of the microbenchmark, as short as can be; all its samples are good ones. */
async function measure(options: string[]) {
  const file = newResults();
  files.push(file);
  const short = ['--no-setup', '--samples', '1', '--duration', '1', '--out', file];
  const { stdout, all, exitCode } = await start(['bench', 'echo', ...short, ...options]);
  expect(exitCode, all).toBe(0);
  const { samples, machine } = runOf(file);
  const failed = samples.filter(({ status }) => status === 'failed');
  expect(failed).toEqual([]);
  return { stdout, machine, samples: samples as OkSample[] };
}

const noUring = engines.find(({ engine }) => engine === 'uring')?.missing;
const noTracing = await whyNoTracing();

describe('a run of the microbenchmark', () => {
  test('measures every rival, and libmegapipe with what its channels did', async () => {
    const rivals = ['baseline', 'reuseport', 'steered', 'sleep', ...(noUring ? [] : ['raw'])];
    const uring = noUring ? [] : ['uring+PBL', 'uring+PBL-W50'];
    const variants = [...rivals, 'epoll+PBL', ...uring].join(',');
    const options = ['--topology', 'loopback', '--requests-per-connection', '10'];
    const { samples, stdout } = await measure([...options, '--variants', variants]);
    const timed = samples.filter(({ kind }) => kind === 'timed');
    expect(timed.map(({ variant }) => variant.id).join()).toBe(variants);
    for (const { measured, channels, variant } of timed) {
      expect(measured.requests).toBeGreaterThan(0);
      if (variant.server === 'baseline') expect(channels).toBeNull();
      else {
        const { engine, moderationUs } = variant;
        expect(channels).toMatchObject({ engine, moderationUs, batch: 32 });
      }
      // Of each message at least something received and something sent.
      if (channels) expect(channels.operations).toBeGreaterThan(measured.requests);
    }
    expect(stdout).toContain('epoll+PBL against stock I/O: ');
  });

  test('has messages of all sizes', async () => {
    const options = ['--topology', 'loopback', '--requests-per-connection', '10'];
    const { samples } = await measure([
      ...options,
      ...['--message-sizes', '1,65536', '--variants', 'epoll+PBL'],
    ]);
    const sizes = samples.filter(({ kind }) => kind === 'timed').map(({ point }) => point.messageBytes);
    expect(sizes).toEqual([1, 1, 65_536, 65_536]);
  });

  testUnless(noTracing)('counts the system calls of a server without channels, too', async () => {
    const options = ['--topology', 'one-core', '--requests-per-connection', 'unlimited'];
    const { samples } = await measure([...options, '--variants', 'baseline']);
    const [traced] = samples.filter(({ kind }) => kind === 'traced');
    const { systemCalls, measured } = traced as OkSample;
    // Those that read and write, and some that wait.
    expect((systemCalls ?? 0) / measured.sampledUs).toBeGreaterThan(
      (1.9 * measured.requests) / measured.windowUs,
    );
  });
});
