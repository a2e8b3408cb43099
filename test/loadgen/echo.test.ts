import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { EchoResult } from '../../loadgen/echo-result.js';
import { testOnEngines } from './engines.js';
import { type FakeEcho, startEcho } from './fake-echo.js';
import { loadEcho, runEchoLoad } from './loadgen.js';

const servers: FakeEcho[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.stop();
});

async function start(answer: (socket: Socket, chunk: Buffer, number: number) => void): Promise<FakeEcho> {
  const server = await startEcho(answer);
  servers.push(server);
  return server;
}

const honest = (socket: Socket, chunk: Buffer) => void socket.write(chunk);

const errorsOf = ({ whole }: EchoResult) =>
  Object.fromEntries(Object.entries(whole.errors).filter(([, count]) => count > 0));

describe('messages that come back', () => {
  testOnEngines('are counted as the server counts them', async (engine) => {
    const server = await start(honest);
    const args = ['--server', server.address, '--engine', engine, '--requests', '2000'];
    const result = await loadEcho([...args, '--concurrency', '16', '--size', '100']);
    expect(errorsOf(result)).toEqual({});
    expect(result.requests).toEqual({ total: 2000, verified: 2000, failed: 0 });
    // Ten a connection, unless told otherwise; the last 16 may end in the midst.
    expect(result.connections).toBeGreaterThanOrEqual(200);
    expect(result.connections).toBeLessThanOrEqual(216);
    expect(server.connections()).toBe(result.connections);
    expect(server.received()).toBe(200_000);
    expect(result.bytesSent).toBe(200_000);
  });

  testOnEngines('may come in pieces of any size', async (engine) => {
    const server = await start((socket, chunk) => {
      const middle = Math.ceil(chunk.length / 3);
      socket.write(chunk.subarray(0, middle));
      setTimeout(() => socket.write(chunk.subarray(middle)), 1);
    });
    const args = ['--server', server.address, '--engine', engine, '--requests', '200'];
    const result = await loadEcho([...args, '--concurrency', '4', '--size', '1000']);
    expect(errorsOf(result)).toEqual({});
    expect(result.requests.verified).toBe(200);
  });

  for (const size of ['1', '4096', '4097', '65536', '1048576']) {
    testOnEngines(`of ${size} bytes, several in flight`, async (engine) => {
      const server = await start(honest);
      const args = ['--server', server.address, '--engine', engine, '--requests', '60'];
      const shape = ['--concurrency', '4', '--size', size, '--pipeline', '3'];
      const result = await loadEcho([...args, ...shape, '--requests-per-connection', 'unlimited']);
      expect(errorsOf(result)).toEqual({});
      expect(result.requests.verified).toBe(60);
      expect(result.bytesReceived).toBe(60 * Number(size));
    });
  }

  test('are sent at a rate where one is given', async () => {
    const server = await start(honest);
    const args = ['--server', server.address, '--rate', '500', '--duration', '2', '--concurrency', '8'];
    const { schedule, requests } = await loadEcho(args);
    expect(schedule?.rate).toBe(500);
    expect(requests.total + (schedule?.unsent ?? 0)).toBeGreaterThan(900);
    expect(requests.total).toBeLessThan(1100);
  });
});

describe('what is no echo', () => {
  const few = ['--requests', '20', '--concurrency', '2'];

  testOnEngines('a changed byte is a verification error', async (engine) => {
    const server = await start((socket, chunk) => {
      const changed = Buffer.from(chunk);
      changed[chunk.length - 1] = (changed[chunk.length - 1] ?? 0) ^ 1;
      socket.write(changed);
    });
    const result = await loadEcho(['--server', server.address, '--engine', engine, ...few]);
    expect(result.requests.verified).toBe(0);
    expect(result.errors.verification).toBe(result.requests.total);
    const unseen = await loadEcho(['--server', server.address, '--engine', engine, ...few, '--no-verify']);
    expect(errorsOf(unseen)).toEqual({});
  });

  testOnEngines('more than was said ends the connection', async (engine) => {
    const server = await start((socket, chunk, number) => {
      socket.write(number === 0 ? Buffer.concat([chunk, Buffer.from('!')]) : chunk);
    });
    const args = ['--server', server.address, '--engine', engine, '--concurrency', '1'];
    const result = await loadEcho([...args, '--requests', '50', '--requests-per-connection', 'unlimited']);
    expect(errorsOf(result)).toEqual({ protocol: 1 });
    expect(server.connections()).toBe(2);
  });

  testOnEngines('a connection that ends too early is reset', async (engine) => {
    const server = await start((socket, chunk, number) => {
      if (number % 5 === 4) socket.destroy();
      else socket.write(chunk);
    });
    const args = ['--server', server.address, '--engine', engine, '--concurrency', '2'];
    const result = await loadEcho([...args, '--requests', '200']);
    expect(Object.keys(errorsOf(result))).toEqual(['reset']);
    expect(result.requests.total + result.requests.failed).toBe(200);
  });
});

describe('the command', () => {
  test('prints a table', async () => {
    const server = await start(honest);
    const { stdout, exitCode } = await runEchoLoad(['--server', server.address, '--requests', '100']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/requests .*100 in .* s, 100 verified/);
  });

  test.each([
    [['--server', '127.0.0.1:1', '--size', '0'], '--size must be a whole number from 1 to 1048576, not "0"'],
    [['--server', '127.0.0.1'], '--server must be HOST:PORT'],
    [['--server', '127.0.0.1:1', '--requests-per-connection', '0'], '--requests-per-connection must be'],
  ])('refuses %j by name', async (args, message) => {
    const { stderr, exitCode } = await runEchoLoad(args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain('see megapipe load echo --help');
  });

  test('says that nobody listens', async () => {
    const { stderr, exitCode } = await runEchoLoad(['--server', '127.0.0.1:1', '--duration', '1']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('no connection to the echo server at 127.0.0.1:1: ECONNREFUSED');
  });
});
