import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../waiting.js';
import { testOnEngines } from './engines.js';
import { type Behaviour, type FakeMemcached, startFake } from './fake-memcached.js';
import { load, runLoad } from './loadgen.js';

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
});

async function fake(behaviour: Behaviour = {}): Promise<FakeMemcached> {
  const server = await startFake(behaviour);
  running.push(server);
  return server;
}

const few = ['--keys', '20', '--concurrency', '4', '--threads', '2'];
const gets = [...few, '--get-set', '1:0', '--requests', '200'];

describe('answers', () => {
  testOnEngines('that come byte by byte are put together', async (engine) => {
    const server = await fake({
      send: async (socket, answer) => {
        for (const byte of answer) {
          socket.write(Buffer.of(byte));
          await setImmediate();
        }
      },
    });
    const small = ['--value-size', 'uniform:0-60', '--key-size', '10', '--multiget', '3'];
    const result = await load(['--server', server.address, '--engine', engine, ...gets, ...small]);
    expect(result.requests).toMatchObject({ total: 200, hits: 600, misses: 0, verified: 600, failed: 0 });
  });

  testOnEngines('that are split or joined anywhere are put together', async (engine) => {
    const server = await fake({
      send: async (socket, answer, { number }) => {
        const at = number % answer.length;
        socket.write(answer.subarray(0, at));
        if (number % 3 > 0) await setImmediate();
        socket.write(answer.subarray(at));
      },
    });
    const args = ['--server', server.address, '--engine', engine, ...few, '--requests', '3000'];
    const result = await load([...args, '--value-size', 'uniform:0-300', '--multiget', '2']);
    expect(result.requests.total).toBe(3000);
    expect(result.requests.verified).toBe(result.requests.get * 2);
    expect(Object.values(result.errors).every((count) => count === 0)).toBe(true);
  });

  testOnEngines('with one wrong byte are verification failures, each counted', async (engine) => {
    const server = await fake({
      send: (socket, answer, { kind, number }) => {
        const at = answer.length - 8 - (number % 100);
        if (kind === 'get' && number % 2 === 0) answer.writeUInt8(answer.readUInt8(at) ^ 1, at);
        socket.write(answer);
      },
    });
    const result = await load(['--server', server.address, '--engine', engine, ...gets, '--threads', '1']);
    expect(result.errors.verification).toBe(100);
    expect(result.requests).toMatchObject({ total: 200, hits: 200, verified: 100, failed: 0 });
    const unchecked = await load(['--server', server.address, '--engine', engine, ...gets, '--no-verify']);
    expect(unchecked.errors.verification).toBe(0);
  });

  test('of another size, or for another key, are verification failures', async () => {
    const shorter = await fake({
      send: (socket, answer, { kind }) =>
        void socket.write(
          kind === 'set' ? answer : answer.toString('latin1').replace(/ 1024\r\n./s, ' 1023\r\n'),
          'latin1',
        ),
    });
    const short = await load(['--server', shorter.address, ...gets]);
    expect(short.errors.verification).toBe(200);
    const other = await fake({
      send: (socket, answer, { kind }) =>
        void socket.write(
          kind === 'set' ? answer : answer.toString('latin1').replace('VALUE ', 'VALUE x'),
          'latin1',
        ),
    });
    const wrong = await load(['--server', other.address, ...gets]);
    expect(wrong.errors.verification).toBe(200);
  });

  testOnEngines('that are no answers end the connection', async (engine) => {
    const server = await fake({
      send: (socket, answer, { kind, number }) =>
        void socket.write(kind === 'get' && number % 10 === 0 ? 'what?\r\n' : answer),
    });
    const result = await load(['--server', server.address, '--engine', engine, ...gets]);
    expect(result.errors.protocol).toBeGreaterThan(10);
    expect(result.requests.failed).toBe(result.errors.protocol);
    expect(result.requests.total + result.requests.failed).toBe(200);
    expect(result.serverComplaint).toBe('what?');
  });

  testOnEngines('that are server errors are counted, and the connection goes on', async (engine) => {
    const server = await fake({
      send: (socket, answer, { kind, number }) =>
        void socket.write(kind === 'get' && number % 10 === 0 ? 'SERVER_ERROR out of memory\r\n' : answer),
    });
    const result = await load(['--server', server.address, '--engine', engine, ...gets]);
    expect(result.errors.server).toBe(20);
    expect(result.requests).toMatchObject({ total: 200, hits: 180, failed: 0 });
    expect(result.connections).toBeLessThanOrEqual(4);
    expect(result.serverComplaint).toBe('SERVER_ERROR out of memory');
  });

  test('nobody asked for are a protocol error', async () => {
    const server = await fake({
      send: (socket, answer) => void socket.write(Buffer.concat([answer, answer])),
    });
    const result = await load(['--server', server.address, ...gets, '--no-prefill']);
    expect(result.errors.protocol).toBeGreaterThan(0);
  });
});

describe('connections', () => {
  testOnEngines('reset in the middle of a value are counted, and replaced', async (engine) => {
    const server = await fake({
      send: (socket, answer, { kind, number }) => {
        if (kind === 'set' || number % 10 !== 0) return void socket.write(answer);
        socket.write(answer.subarray(0, answer.length / 2), () => socket.resetAndDestroy());
      },
    });
    const result = await load(['--server', server.address, '--engine', engine, ...gets]);
    expect(result.errors.reset).toBe(20);
    expect(result.requests).toMatchObject({ total: 180, failed: 20, verified: 180 });
    expect(result.connections).toBeGreaterThan(20);
  });

  testOnEngines('closed in the middle of a value are counted alike', async (engine) => {
    const server = await fake({
      send: (socket, answer, { kind, number }) => {
        if (kind === 'set' || number % 10 !== 0) return void socket.write(answer);
        socket.end(answer.subarray(0, answer.length / 2));
      },
    });
    const result = await load(['--server', server.address, '--engine', engine, ...gets]);
    expect(result.errors.reset).toBe(20);
    expect(result.requests).toMatchObject({ total: 180, failed: 20 });
  });

  testOnEngines('reset at once, every one of them: an end, and an error', async (engine) => {
    const server = await fake({ connected: (socket) => void socket.resetAndDestroy() });
    const args = ['--server', server.address, '--engine', engine, ...few, '--no-prefill', '--timeout', '1'];
    const { exitCode, stderr } = await runLoad([...args, '--requests', '50', '--json']);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^megapipe: (no connection to|nothing could be measured at) the memcached server/);
  });

  testOnEngines('on which nothing comes run into --timeout', async (engine) => {
    const server = await fake({
      send: (socket, answer, { number }) => void (number % 10 !== 0 && socket.write(answer)),
    });
    const args = [
      '--server',
      server.address,
      '--engine',
      engine,
      ...gets,
      '--no-prefill',
      '--timeout',
      '0.5',
    ];
    const { errors, requests } = await load(args);
    // On a busy machine some of the others may be late, too.
    expect(errors.timeout).toBeGreaterThanOrEqual(20);
    expect(requests.failed).toBe(errors.timeout);
    expect(requests.misses).toBe(requests.total);
    expect(requests.total + requests.failed).toBe(200);
  });

  testOnEngines('are as many as --concurrency at once, and closed by RST', async (engine) => {
    const server = await fake();
    const args = ['--server', server.address, '--engine', engine, '--no-prefill', '--concurrency', '7'];
    const result = await load([
      ...args,
      '--requests',
      '700',
      '--requests-per-connection',
      '10',
      '--keys',
      '20',
    ]);
    expect(result.connections).toBeGreaterThanOrEqual(70);
    expect(server.connections).toBe(result.connections);
    expect(server.mostOpen).toBeGreaterThanOrEqual(7);
    await until('the server has seen all of them end', () => server.ended === server.connections);
    expect(server.resets).toBeGreaterThan(60);
  });

  testOnEngines('are closed by FIN with --close fin', async (engine) => {
    const server = await fake();
    const args = ['--server', server.address, '--engine', engine, '--no-prefill', '--concurrency', '7'];
    const count = ['--requests', '700', '--requests-per-connection', '10', '--keys', '20'];
    await load([...args, ...count, '--close', 'fin']);
    await until('the server has seen all of them end', () => server.ended === server.connections);
    expect(server.resets).toBe(0);
  });

  testOnEngines('whose server goes away while it runs end the run with the reason', async (engine) => {
    const server = await fake();
    const args = [
      '--server',
      server.address,
      '--engine',
      engine,
      ...few,
      '--duration',
      '60',
      '--timeout',
      '3',
    ];
    const running = runLoad(args);
    await until('the load runs', () => server.requests > 200);
    await server.stop();
    const { exitCode, stderr } = await running;
    expect(exitCode).toBe(1);
    expect(stderr).toContain('ECONNREFUSED');
  });
});
