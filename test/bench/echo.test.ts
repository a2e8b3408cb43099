import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { afterEach, expect, test } from 'vitest';
import { allowedCpus } from '../../src/base/cpus.js';
import { buildDir } from '../../src/base/paths.js';
import { echo } from '../../src/bench/application/echo/echo.js';
import { echoCommand, echoGreeting } from '../../src/bench/application/echo/programs.js';
import { identityOf } from '../../src/bench/application/echo/words.js';
import { baseline, megapipe, steered, whole } from '../../src/bench/application/variant.js';
import { pingpong } from '../../src/bench/guest/programs.js';
import { writeScript } from '../../src/bench/guest/script.js';
import { checkIdentity } from '../../src/bench/sample.js';
import { startServer } from '../../src/bench/server.js';
import { parseTickedUs } from '../../src/host/cpu-time.js';
import { freePort } from '../../src/host/free-port.js';
import { makeTopology } from '../../src/host/topology.js';
import type { Variant } from '../../src/results/schema.js';
import { engines } from '../engines.js';
import { testUnless } from '../skip.js';

const running: { kill(signal: 'SIGKILL'): boolean }[] = [];

afterEach(() => {
  for (const server of running.splice(0)) server.kill('SIGKILL');
});

/** An echo server that listens, and what it said of itself. */
async function start(variant: Variant, workers = 1) {
  const port = await freePort();
  const [file, ...args] = echoCommand(variant, { address: '127.0.0.1', port, workers }) as [
    string,
    ...string[],
  ];
  const server = execa(file, args, { reject: false });
  running.push(server);
  const [greeting] = (await once(createInterface({ input: server.stdout }), 'line')) as [string];
  return { server, port, greeting };
}

/** What comes back, as many bytes as were said. */
async function echoed(port: number, bytes: Buffer): Promise<Buffer> {
  const socket: Socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  const chunks: Buffer[] = [];
  let length = 0;
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    length += chunk.length;
  });
  while (length < bytes.length) await once(socket, 'data');
  socket.end();
  await once(socket, 'close');
  return Buffer.concat(chunks);
}

async function load(port: number, options: string[]) {
  const { stdout } = await execa(pingpong, [...options, '127.0.0.1', String(port)]);
  return JSON.parse(stdout) as { transactions: number; connections: number };
}

const bytes = Buffer.from(Array.from({ length: 10_000 }, (_, index) => index % 251));

for (const { engine, missing } of engines) {
  const techniques = [[], ['batch'], ['partition', 'batch', 'lwsocket']] as const;
  for (const variant of techniques.map((own) => megapipe(engine, own))) {
    testUnless(missing)(
      `the server over libmegapipe as ${variant.id} sends back what it is sent`,
      async () => {
        const { port, greeting } = await start(variant);
        expect(greeting).toBe(echoGreeting(variant));
        expect(await echoed(port, bytes)).toEqual(bytes);
      },
    );
  }

  testUnless(missing)(`the server on ${engine} tells what its channel did when it is ended`, async () => {
    const { server, port } = await start(whole(engine));
    expect(await load(port, ['-n', '4', '-m', '4000'])).toMatchObject({ transactions: 4000 });
    server.kill('SIGTERM');
    const { stdout, exitCode } = await server;
    expect(exitCode).toBe(0);
    const told = JSON.parse(stdout.split('\n').at(-1) as string);
    expect(told).toMatchObject({ engine, accepted: expect.any(Number) });
    expect(told.accepted).toBeGreaterThanOrEqual(1000);
    // Of each transaction a request to receive and one to send: batching leaves far fewer entries of the kernel.
    if (engine !== 'epoll') expect(told.crossings).toBeLessThan(told.requests / 2);
  });

  testUnless(missing)(`the server on ${engine} tells the benchmark what its channels did`, async () => {
    const content = { folder: '', parameters: {}, remove: () => undefined };
    const topology = await makeTopology('loopback');
    const { signal } = new AbortController();
    const variant = whole(engine);
    const cores = allowedCpus().length;
    const server = await startServer({ application: echo, topology, content, signal }, variant, { cores });
    try {
      checkIdentity(variant, await server.identify());
      const before = await server.readChannels();
      expect(await load(server.port, ['-n', '4', '-m', '4000'])).toMatchObject({ transactions: 4000 });
      const after = await server.readChannels();
      expect(after).toMatchObject({ engine, techniques: variant.techniques, batch: variant.batch });
      // A request to receive and one to send, of each transaction, whatever the number of threads.
      const operations = (after?.operations ?? 0) - (before?.operations ?? 0);
      expect(operations).toBeGreaterThan(8000);
      expect(operations).toBeLessThan(8000 + 4 * 1300);
      expect(after?.crossings).toBeGreaterThan(before?.crossings ?? 0);
    } finally {
      await server.stop();
    }
  });
}

test('the example of libmegapipe sends back what it is sent, to many', async () => {
  const port = await freePort();
  const server = execa(join(buildDir, 'libmegapipe/echo'), [String(port)], { reject: false });
  running.push(server);
  await expect.poll(() => echoed(port, bytes).catch(() => undefined)).toEqual(bytes);
  expect(await load(port, ['-n', '4', '-m', '4000'])).toMatchObject({ transactions: 4000 });
});

test('a rival that runs as another is found out', () => {
  for (const variant of echo.stock) {
    const ran = identityOf(echoGreeting(variant), echo.stock);
    for (const wanted of echo.stock) {
      const check = () => checkIdentity(wanted, ran);
      if (wanted === variant) expect(check).not.toThrow();
      else expect(check).toThrow(`the server ran as ${variant.id}, not as ${wanted.id}`);
    }
    expect(() => checkIdentity(whole('uring'), ran)).toThrow(`the server ran as ${variant.id} `);
  }
  const ran = identityOf(echoGreeting(whole('epoll')), echo.stock);
  expect(() => checkIdentity(whole('epoll'), ran)).not.toThrow();
  expect(() => checkIdentity(steered, ran)).toThrow('ran on channels, not as steered');
  expect(() => identityOf('hello', echo.stock)).toThrow('it said "hello"');
});

const noUring = engines.find(({ engine }) => engine === 'uring')?.missing;

for (const variant of echo.stock) {
  testUnless(variant.id === 'raw' ? noUring : undefined)(
    `the rival "${variant.id}" sends back what it is sent`,
    async () => {
      const { port, greeting } = await start(variant);
      expect(greeting).toBe(echoGreeting(variant));
      expect(await echoed(port, bytes)).toEqual(bytes);
      // Far more than sockets hold, read only when all of it was said: what could not be sent at once is sent later.
      const flood = Buffer.alloc(16 << 20, bytes);
      expect((await echoed(port, flood)).equals(flood)).toBe(true);
      expect(await load(port, ['-n', '3', '-m', '3000'])).toMatchObject({ transactions: 3000 });
    },
  );
}

testUnless(allowedCpus().length < 2 ? 'there is one CPU' : undefined)(
  'the rival that steers has each connection on the CPU that handles its packets',
  async () => {
    const { server, port } = await start(steered, allowedCpus().length);
    const cpuTimes = () =>
      readdirSync(`/proc/${server.pid}/task`)
        .slice(1)
        .map((task) => parseTickedUs(readFileSync(`/proc/${server.pid}/task/${task}/stat`, 'utf8')));
    const [first = 0] = allowedCpus();
    const before = cpuTimes();
    // Over loopback the CPU that sends is the one that handles.
    const client = [pingpong, '-n', '1', '-m', '20000', '127.0.0.1', String(port)];
    await execa('taskset', ['-c', String(first), ...client]);
    const used = cpuTimes().map((time, index) => time - (before[index] ?? 0));
    expect(used[0]).toBeGreaterThan(0);
    expect(Math.max(...used.slice(1))).toBeLessThanOrEqual(20_000);
  },
);

test('the client makes as many transactions and connections as it is told', async () => {
  const { port } = await start(baseline);
  expect(await load(port, ['-n', '1', '-m', '1000'])).toMatchObject({
    transactions: 1000,
    connections: 1000,
  });
  expect(await load(port, ['-w', '300', '-m', '1000'])).toMatchObject({ transactions: 1000, connections: 0 });
  const tens = await load(port, ['-c', '20', '-n', '10', '-w', '200', '-m', '1000', '-r']);
  expect(tens.transactions).toBe(1000);
  // Each of the 20 may be in the midst of one at either end.
  expect(Math.abs(tens.connections - 100)).toBeLessThanOrEqual(20);
});

test('the client refuses an answer that is too long', async () => {
  const { port } = await start(baseline);
  const script = join(mkdtempSync(join(tmpdir(), 'megapipe-test-')), 'script');
  writeScript(script, [{ bytes: 'wxyz', answer: 2 }]);
  const command = ['-m', '1', '-f', script, '127.0.0.1', String(port)];
  const { exitCode, stderr } = await execa(pingpong, command, { reject: false });
  rmSync(dirname(script), { recursive: true });
  expect(exitCode).toBe(1);
  expect(stderr).toContain('2 bytes more than an answer has');
});
