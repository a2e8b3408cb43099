import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoadResult } from '../../loadgen/memcached-result.js';
import { allowedCpus } from '../../src/base/cpus.js';
import { until } from '../waiting.js';
import { startChoppingProxy } from './chopping-proxy.js';
import { testOnEngines } from './engines.js';
import { load, runLoad } from './loadgen.js';
import { type StockMemcached, startMemcached } from './stock-memcached.js';

let server: StockMemcached;
beforeAll(async () => {
  server = await startMemcached(['-t', '2']);
});
afterAll(() => server.stop());

type Stats = Record<string, number>;

function difference(after: Stats, before: Stats): Stats {
  return Object.fromEntries(Object.entries(after).map(([name, n]) => [name, n - (before[name] ?? 0)]));
}

/** What the server counted while the load ran, and what the load generator says it did. */
async function measured(args: string[], of = server): Promise<Both> {
  const before = await of.stats();
  const result = await load(['--server', of.address, ...args]);
  let stats: Stats = {};
  let asked = 0;
  // A worker of the server may not have got to the last connections yet. Each question comes over a connection of its own.
  await until('the server has seen all connections, or too many', async () => {
    const now = difference(await of.stats(), before);
    asked += 1;
    stats = { ...now, total_connections: (now.total_connections ?? 0) - asked };
    return (stats.total_connections ?? 0) >= result.whole.connections;
  });
  return { result, stats };
}

type Both = { result: LoadResult; stats: Stats };

function expectNoErrors({ whole }: LoadResult) {
  expect(Object.entries(whole.errors).filter(([, count]) => count > 0)).toEqual([]);
  expect(whole.requests.failed).toBe(0);
}

function expectSameCounts({ result, stats }: Both) {
  const { requests, connections } = result.whole;
  expect(stats.cmd_set).toBe(requests.set);
  expect(stats.cmd_get).toBe(requests.keys - requests.set);
  expect(stats.get_hits).toBe(requests.hits);
  expect(stats.get_misses).toBe(requests.misses);
  expect(stats.total_connections).toBe(connections);
}

/** Where time ends a load, the server may have counted answers that came too late for it: those that failed. */
function expectSameCountsInTime({ result, stats }: Both) {
  const { requests, errors, connections } = result.whole;
  expect(Object.entries(errors).filter(([, count]) => count > 0)).toEqual([]);
  const late = (stats.cmd_set ?? 0) + (stats.cmd_get ?? 0) - requests.keys;
  expect(late).toBeGreaterThanOrEqual(0);
  expect(late).toBeLessThanOrEqual(requests.failed);
  expect((stats.get_hits ?? 0) + (stats.get_misses ?? 0)).toBe(stats.cmd_get);
  expect(stats.total_connections).toBe(connections);
}

const quick = ['--requests', '4000', '--keys', '500', '--concurrency', '32'];

describe('counts are the server’s own', () => {
  for (const protocol of ['ascii', 'binary']) {
    testOnEngines(`${protocol}, one request a connection`, async (engine) => {
      const both = await measured([
        ...quick,
        ...['--engine', engine, '--protocol', protocol, '--requests-per-connection', '1'],
      ]);
      expectNoErrors(both.result);
      expectSameCounts(both);
      expect(both.result.requests.total).toBe(4000);
      expect(both.result.connections).toBe(4000);
      expect(both.result.requests.verified).toBe(both.result.requests.get);
      expect(both.result.engine).toBe(engine);
    });
    testOnEngines(`${protocol}, multiget, pipeline, seven requests a connection, FIN`, async (engine) => {
      const both = await measured([
        ...quick,
        ...['--engine', engine, '--protocol', protocol, '--requests-per-connection', '7'],
        ...['--multiget', '5', '--pipeline', '3', '--close', 'fin'],
      ]);
      expectNoErrors(both.result);
      expectSameCounts(both);
      const { requests, connections } = both.result;
      expect(requests.total).toBe(4000);
      expect(requests.keys).toBe(requests.get * 5 + requests.set);
      expect(connections).toBeGreaterThanOrEqual(Math.ceil(4000 / 7));
      expect(connections).toBeLessThanOrEqual(Math.ceil(4000 / 7) + 32);
    });
    testOnEngines(`${protocol}, unlimited, warm-up, duration`, async (engine) => {
      const both = await measured([
        ...['--keys', '500', '--concurrency', '32', '--duration', '1', '--warmup', '1'],
        ...['--engine', engine, '--protocol', protocol],
      ]);
      expectSameCountsInTime(both);
      expect(both.result.requests.total).toBeGreaterThan(0);
      expect(both.result.whole.requests.total).toBeGreaterThan(both.result.requests.total + 500);
      // Four of them are the prefill's.
      expect(both.result.whole.connections).toBe(32 + 4);
    });
    testOnEngines(`${protocol}, open loop`, async (engine) => {
      const both = await measured([
        ...quick,
        ...['--engine', engine, '--protocol', protocol, '--rate', '8000', '--arrival', 'poisson'],
      ]);
      expectNoErrors(both.result);
      expectSameCounts(both);
      expect(both.result.requests.total).toBe(4000);
      expect(both.result.schedule).toEqual({ rate: 8000, sent: 4000, unsent: 0 });
    });
  }
});

describe('values', () => {
  for (const protocol of ['ascii', 'binary']) {
    testOnEngines(`${protocol}, 8 MiB`, async (engine) => {
      const large = await startMemcached(['-I', '16m', '-m', '1024']);
      try {
        const both = await measured(
          [
            ...['--engine', engine, '--protocol', protocol, '--value-size', '8388608', '--keys', '4'],
            ...['--concurrency', '3', '--requests', '60', '--pipeline', '2', '--get-set', '2:1'],
          ],
          large,
        );
        expectNoErrors(both.result);
        expectSameCounts(both);
        expect(both.result.requests.verified).toBe(both.result.requests.get);
        expect(both.result.bytesReceived).toBeGreaterThan(both.result.requests.get * 8_388_608);
      } finally {
        await large.stop();
      }
    });
    testOnEngines(`${protocol}, none of them there: misses`, async (engine) => {
      const both = await measured([
        ...quick,
        ...['--engine', engine, '--protocol', protocol, '--no-prefill', '--get-set', '1:0'],
        ...['--multiget', '3', '--seed', protocol === 'ascii' ? '71' : '72'],
      ]);
      expectNoErrors(both.result);
      expectSameCounts(both);
      expect(both.result.requests.misses).toBe(12_000);
    });
  }
  test.for(['ascii', 'binary'])(
    'of one seed are wrong for another that uses the same keys: %s',
    async (protocol) => {
      const small = ['--key-size', '4', '--keys', '1000', '--requests', '2000', '--protocol', protocol];
      await load(['--server', server.address, ...small, '--seed', '11']);
      const other = ['--no-prefill', '--get-set', '1:0', '--seed', '12'];
      const result = await load(['--server', server.address, ...small, ...other]);
      expect(result.requests.hits).toBeGreaterThan(0);
      expect(result.errors.verification).toBe(result.requests.hits);
      expect(result.requests.verified).toBe(0);
      const unchecked = await load(['--server', server.address, ...small, ...other, '--no-verify']);
      expect(unchecked.errors.verification).toBe(0);
      expect(unchecked.requests.verified).toBe(0);
    },
  );
  test('too large for the server are an error that says so', async () => {
    const args = ['--server', server.address, '--value-size', '2000000', '--keys', '10', '--requests', '10'];
    const { exitCode, stderr } = await runLoad(args);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('10 of 10 keys could not be set: SERVER_ERROR object too large for cache');
    for (const protocol of ['ascii', 'binary']) {
      const result = await load([...args, '--no-prefill', '--get-set', '0:1', '--protocol', protocol]);
      expect(result.errors.server).toBe(10);
      expect(result.serverComplaint).toMatch(/too large/i);
    }
  });
});

describe('a server', () => {
  for (const protocol of ['ascii', 'binary']) {
    for (const pieces of [1, 23, 1000]) {
      testOnEngines(`whose answers come in pieces of ${pieces} bytes, over ${protocol}`, async (engine) => {
        const proxy = await startChoppingProxy(server.port, pieces);
        try {
          const result = await load([
            ...['--server', proxy.address, '--engine', engine, '--protocol', protocol],
            ...['--keys', '50', '--concurrency', '4', '--requests', '300', '--multiget', '3'],
            ...['--value-size', pieces === 1 ? 'uniform:0-40' : 'uniform:0-3000', '--pipeline', '4'],
          ]);
          expectNoErrors(result);
          expect(result.requests.total).toBe(300);
          expect(result.requests.verified).toBe(result.requests.get * 3);
        } finally {
          await proxy.stop();
        }
      });
    }
  }
  testOnEngines('on a UNIX socket', async (engine) => {
    const local = await startMemcached([], { unix: true });
    try {
      const both = await measured(
        [...quick, '--engine', engine, '--requests-per-connection', '5', '--close', 'fin'],
        local,
      );
      expectNoErrors(both.result);
      expectSameCounts(both);
    } finally {
      await local.stop();
    }
  });
  for (const protocol of ['ascii', 'binary']) {
    testOnEngines(`with too few connections refuses, over ${protocol}`, async (engine) => {
      const few = await startMemcached(['-c', '40', '-t', '1']);
      try {
        const result = await load([
          ...['--server', few.address, '--engine', engine, '--protocol', protocol],
          ...['--keys', '100', '--concurrency', '100', '--duration', '1', '--warmup', '0'],
        ]);
        expect(result.errors.refused).toBeGreaterThan(0);
        expect(result.requests.total).toBeGreaterThan(0);
        expect(result.requests.misses + result.errors.verification + result.errors.protocol).toBe(0);
      } finally {
        await few.stop();
      }
    });
  }
});

describe('options', () => {
  const base = () => [
    '--server',
    server.address,
    '--keys',
    '2000',
    '--requests',
    '20000',
    '--concurrency',
    '16',
  ];
  test('--get-set is the ratio', async () => {
    const { requests } = await load([...base(), '--get-set', '3:1']);
    // Six standard deviations of a binomial distribution: how far each thread gets differs from run to run.
    expect(Math.abs(requests.set - 5000)).toBeLessThan(6 * Math.sqrt(20_000 * 0.25 * 0.75));
  });
  test('--seed makes everything the same again', async () => {
    const once = await load([...base(), '--threads', '1', '--value-size', 'fb-etc', '--seed', '5']);
    const again = await load([...base(), '--threads', '1', '--value-size', 'fb-etc', '--seed', '5']);
    const other = await load([...base(), '--threads', '1', '--value-size', 'fb-etc', '--seed', '6']);
    expect(again.bytesSent).toBe(once.bytesSent);
    expect(again.bytesReceived).toBe(once.bytesReceived);
    expect(other.bytesSent).not.toBe(once.bytesSent);
  });
  test('sizes and popularity reach the wire', async () => {
    const fixed = ['--threads', '1', '--get-set', '0:1', '--key-size', '20', '--value-size', 'fixed:100'];
    const result = await load([...base(), ...fixed, '--popularity', 'zipf:1.3']);
    const set = 'set  0 0 100\r\n\r\n'.length + 20 + 100;
    expect(result.bytesSent).toBe(20_000 * set);
    expect(result.bytesReceived).toBe(20_000 * 'STORED\r\n'.length);
  });
  test('--threads and --cpus place the threads', async () => {
    const cpu = allowedCpus()[0] as number;
    const result = await load([...base(), '--threads', '3', '--cpus', String(cpu)]);
    expect(result.threads.map((thread) => thread.cpu)).toEqual([cpu, cpu, cpu]);
  });
  test('--batch 1 costs kernel crossings', async () => {
    const batched = await load([...base(), '--concurrency', '256', '--engine', 'epoll']);
    const single = await load([...base(), '--concurrency', '256', '--engine', 'epoll', '--batch', '1']);
    expect(single.kernelCrossings).toBeGreaterThan(batched.kernelCrossings);
  });
});
