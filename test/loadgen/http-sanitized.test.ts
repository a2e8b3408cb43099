import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { createFileSet } from '../../loadgen/file-set.js';
import { workload } from '../../loadgen/workloads.js';
import { buildDir, root } from '../../src/base/paths.js';
import { startChoppingProxy } from './chopping-proxy.js';
import { testOnEngines } from './engines.js';
import { answerOf, startFakeHttp } from './fake-http.js';
import { loadHttp } from './loadgen.js';
import { type StockNginx, startNginx } from './stock-nginx.js';

// As in sanitized.test.ts.
const env = {
  MEGAPIPE_LOAD_ADDON: join(buildDir, 'loadgen-sanitize/load.node'),
  ASAN_OPTIONS: 'detect_leaks=0',
  LD_PRELOAD: '',
};

const scratch = mkdtempSync(join(tmpdir(), 'megapipe-sanitized-'));
chmodSync(scratch, 0o755);
let server: StockNginx;
beforeAll(async () => {
  await execa('make', ['-s', '-C', join(root, 'loadgen/native'), 'SANITIZE=1'], { all: true });
  const { stdout } = await execa('cc', ['-print-file-name=libasan.so']);
  env.LD_PRELOAD = realpathSync(stdout);
  await createFileSet(workload('specweb'), scratch);
  writeFileSync(join(scratch, 'large'), Buffer.alloc(2_000_000, 'x'));
  chmodSync(join(scratch, 'large'), 0o644);
  server = await startNginx({
    root: scratch,
    server: 'location = /post { client_max_body_size 4m; return 200 x; }',
  });
});
afterAll(async () => {
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
});

describe('HTTP with AddressSanitizer and UndefinedBehaviorSanitizer', () => {
  const specweb = ['/', '--workload', 'specweb', '--concurrency', '16', '--requests', '3000'];
  const cases = [
    ['a workload', ...specweb],
    ['pipelining', ...specweb, '--pipeline', '7', '--requests-per-connection', 'zipf:1.5,40'],
    ['announced ends', ...specweb, '--announce-close', '--requests-per-connection', '1'],
    ['an open loop', ...specweb, '--rate', '3000', '--arrival', 'poisson'],
    ['HEAD', ...specweb, '--method', 'HEAD'],
    ['large answers', '/large', '--requests', '20', '--concurrency', '4', '--expect-crc32', '0a0a0a0a'],
    ['bodies that are sent', '/post', '--body', 'y'.repeat(90_000), '--requests', '200', '--pipeline', '3'],
  ];
  for (const [name = '', path = '', ...args] of cases) {
    testOnEngines(name, async (engine) => {
      const result = await loadHttp([`${server.url}${path}`, '--engine', engine, ...args], env);
      const { verification, ...errors } = result.whole.errors;
      expect(Object.entries(errors).filter(([, n]) => n > 0)).toEqual([]);
      // The checksum is a wrong one.
      expect(verification).toBe(path === '/large' ? 20 : 0);
    });
  }

  testOnEngines('a trace, over a way that cuts everything', async (engine) => {
    const proxy = await startChoppingProxy(server.port, 7);
    const trace = join(scratch, 'trace.csv');
    const lines = Array.from(
      { length: 200 },
      (_, i) => `${i % 23},/specweb/${String(i % 60).padStart(4, '0')},200`,
    );
    writeFileSync(trace, `connection,path,status\n${lines.join('\n')}\n`);
    const args = ['--trace', trace, '--engine', engine, '--concurrency', '5'];
    const result = await loadHttp([`http://${proxy.address}/`, ...args], env);
    await proxy.stop();
    expect(result.requests).toEqual({ total: 200, verified: 200, failed: 0 });
    expect(result.connections).toBe(23);
  });

  testOnEngines(
    'a server that answers in pieces, with nonsense, with resets and not at all',
    async (engine) => {
      const whole = answerOf('hello');
      // Ten kinds, and pipelines of three: each kind comes first in some.
      const kinds: Record<number, (socket: Socket, part: string) => unknown> = {
        1: (socket, part) => socket.write(part, () => socket.resetAndDestroy()),
        2: (socket) => socket.write('x'.repeat(3000)),
        3: (socket, part) => socket.end(part),
        4: (socket) => socket.end(answerOf('hello', 'Connection: close\r\n')),
        5: (socket) => socket.write(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(20_000)}`),
        6: () => new Promise(() => {}),
      };
      const fake = await startFakeHttp((socket, { number }) => {
        const answer = kinds[number % 10] ?? (() => socket.write(whole));
        return answer(socket, whole.slice(0, number % whole.length));
      });
      const args = [
        fake.url,
        '--engine',
        engine,
        '--concurrency',
        '16',
        '--pipeline',
        '3',
        '--requests',
        '600',
      ];
      const result = await loadHttp([...args, '--timeout', '0.3'], env);
      await fake.stop();
      expect(result.requests.total + result.requests.failed).toBe(600);
      for (const kind of ['reset', 'protocol', 'timeout', 'closed'] as const)
        expect(result.errors[kind]).toBeGreaterThan(0);
    },
  );
});
