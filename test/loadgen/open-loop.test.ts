import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import { testOnEngines } from './engines.js';
import { startFake } from './fake-memcached.js';
import { llhttpArguments } from './llhttp.js';
import { load } from './loadgen.js';

const stallMs = 500;

/** How many requests took half a stall or longer. */
function countSlow(encoded: string): number {
  const histogram = decodeFromCompressedBase64(encoded);
  const { totalCount } = histogram;
  const ranks = Array.from({ length: totalCount }, (_, i) => (100 * (i + 1)) / totalCount);
  return ranks.filter((rank) => histogram.getValueAtPercentile(rank) >= (stallMs / 2) * 1e6).length;
}

describe('an open loop', () => {
  test('has its threads take turns, whenever each of them got to run', async () => {
    const scratch = mkdtempSync(join(tmpdir(), 'megapipe-pace-'));
    onTestFinished(() => rmSync(scratch, { recursive: true, force: true }));
    const program = join(scratch, 'schedule');
    const includes = ['-I', join(root, 'loadgen/native'), ...(await llhttpArguments())];
    const sources = ['test/loadgen/pace-schedule.c', 'loadgen/native/pace.c'].map((file) => join(root, file));
    await execa('cc', ['-std=gnu11', ...includes, '-o', program, ...sources]);
    const { stdout } = await execa(program);
    expect(stdout.split('\n')).toEqual(['0 0', '0 100', '0 200', '1 50', '1 150', '1 250']);
  });

  testOnEngines('shows a stall in corrected latency, and not in service latency', async (engine) => {
    let stalled: Promise<void> | undefined;
    const server = await startFake({
      send: async (socket, answer, { number }) => {
        // A timer of Node.js may end a millisecond early.
        if (number === 200) stalled = sleep(stallMs + 1);
        await stalled;
        socket.write(answer);
      },
    });
    const rate = 200;
    const result = await load([
      ...['--server', server.address, '--engine', engine, '--no-prefill', '--keys', '20'],
      ...['--threads', '1', '--concurrency', '1', '--rate', String(rate), '--requests', '600'],
    ]);
    await server.stop();
    // One connection: one request waits for the server; those that become due meanwhile wait for the connection, 50 of
    // them for more than half of the time. Other work on the machine may stall more, and is seen alike.
    expect(result.requests.total).toBe(600);
    const slow = countSlow(result.histogram.service);
    expect(slow).toBeGreaterThanOrEqual(1);
    expect(countSlow(result.histogram.corrected)).toBeGreaterThan(slow + 40);
    expect(result.latencyUs.corrected?.max).toBeGreaterThanOrEqual(stallMs * 1000);
  });

  testOnEngines('never sends sooner than the rate says', async (engine) => {
    const server = await startFake();
    const result = await load([
      ...['--server', server.address, '--engine', engine, '--no-prefill', '--keys', '20'],
      ...['--concurrency', '8', '--rate', '1000', '--requests', '500'],
    ]);
    await server.stop();
    expect(result.window.seconds).toBeGreaterThanOrEqual(0.49);
    expect(result.schedule).toEqual({ rate: 1000, sent: 500, unsent: 0 });
  });

  test('that the server can’t follow says how much was not sent', async () => {
    const server = await startFake({
      send: async (socket, answer) => {
        await sleep(20);
        socket.write(answer);
      },
    });
    const result = await load([
      ...['--server', server.address, '--no-prefill', '--keys', '20', '--warmup', '0'],
      ...['--concurrency', '2', '--rate', '10000', '--duration', '0.5'],
    ]);
    await server.stop();
    expect(result.schedule?.unsent).toBeGreaterThan(4000);
    const { corrected, service } = result.latencyUs;
    expect(corrected?.p99).toBeGreaterThan(service?.p99 ?? Number.POSITIVE_INFINITY);
  });
});
