import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { buildDir, root } from '../../src/base/paths.js';
import { testOnEngines } from './engines.js';
import { startEcho } from './fake-echo.js';
import { startFake } from './fake-memcached.js';
import { load, loadEcho } from './loadgen.js';
import { type StockMemcached, startMemcached } from './stock-memcached.js';

// Node itself is built without the sanitizers, so that theirs has to be there before it. What node never frees would
// drown what the engine forgets: no leak check.
const env = {
  MEGAPIPE_LOAD_ADDON: join(buildDir, 'loadgen-sanitize/load.node'),
  ASAN_OPTIONS: 'detect_leaks=0',
  LD_PRELOAD: '',
};

let server: StockMemcached;
beforeAll(async () => {
  await execa('make', ['-s', '-C', join(root, 'loadgen/native'), 'SANITIZE=1'], { all: true });
  const { stdout } = await execa('cc', ['-print-file-name=libasan.so']);
  env.LD_PRELOAD = realpathSync(stdout);
  server = await startMemcached(['-I', '16m', '-c', '200']);
});
afterAll(() => server.stop());

describe('with AddressSanitizer and UndefinedBehaviorSanitizer', () => {
  const cases = [
    ['one request a connection', '--requests-per-connection', '1', '--concurrency', '32'],
    ['multiget and pipeline', '--multiget', '20', '--pipeline', '10', '--value-size', 'fb-etc'],
    ['values of 8 MiB', '--value-size', '8388608', '--keys', '3', '--requests', '30', '--pipeline', '2'],
    ['values that are pointed to', '--value-size', 'uniform:0-20000', '--pipeline', '8', '--get-set', '1:1'],
    ['an open loop', '--rate', '3000', '--arrival', 'poisson', '--requests-per-connection', '2'],
    ['zipf over many keys', '--keys', '50000', '--popularity', 'zipf:1.4', '--key-size', 'fb-etc'],
  ];
  for (const [name = '', ...args] of cases) {
    for (const protocol of ['ascii', 'binary']) {
      testOnEngines(`${name}, over ${protocol}`, async (engine) => {
        const common = ['--server', server.address, '--engine', engine, '--protocol', protocol];
        const count = ['--keys', '300', '--concurrency', '8', '--requests', '3000'];
        const result = await load([...common, ...count, ...args], env);
        expect(Object.entries(result.whole.errors).filter(([, n]) => n > 0)).toEqual([]);
        expect(result.requests.verified).toBe(result.requests.hits);
      });
    }
  }

  testOnEngines('messages that come back, small and large', async (engine) => {
    const echo = await startEcho((socket, chunk) => void socket.write(chunk));
    try {
      for (const size of ['1', '64', '65536', '1048576']) {
        const common = ['--server', echo.address, '--engine', engine, '--size', size];
        const count = ['--concurrency', '8', '--requests', '200', '--pipeline', '3'];
        const { whole } = await loadEcho([...common, ...count], env);
        expect(Object.entries(whole.errors).filter(([, n]) => n > 0)).toEqual([]);
        expect(whole.requests.verified).toBe(whole.requests.total);
      }
    } finally {
      echo.stop();
    }
  });

  testOnEngines('a server that refuses connections', async (engine) => {
    const args = ['--server', server.address, '--engine', engine, '--keys', '100', '--concurrency', '400'];
    const result = await load([...args, '--duration', '1', '--warmup', '0'], env);
    expect(result.errors.refused).toBeGreaterThan(0);
  });

  testOnEngines(
    'a server that answers in pieces, with nonsense, with resets and not at all',
    async (engine) => {
      const fake = await startFake({
        send: (socket, answer, { kind, number }) => {
          const at = number % answer.length;
          if (kind === 'set' || number % 7 > 3) return socket.write(answer);
          if (number % 7 === 1) return socket.write(answer.subarray(0, at), () => socket.resetAndDestroy());
          if (number % 7 === 2) return socket.write(Buffer.alloc(3000, 'x'));
          if (number % 7 === 3) return socket.end(answer.subarray(0, at));
          return undefined;
        },
      });
      const args = ['--server', fake.address, '--engine', engine, '--keys', '100', '--concurrency', '16'];
      const result = await load([...args, '--get-set', '1:0', '--requests', '1000', '--timeout', '0.5'], env);
      await fake.stop();
      expect(result.requests.total + result.requests.failed).toBe(1000);
      for (const kind of ['reset', 'protocol', 'timeout'] as const) {
        expect(result.errors[kind]).toBeGreaterThan(0);
      }
    },
  );
});
