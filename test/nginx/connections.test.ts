import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Connection } from '../memcached/connection.js';
import { testUnless } from '../skip.js';
import { untilDone } from '../waiting.js';
import { ask } from './client.js';
import { describeKinds } from './kinds.js';
import { residentKib } from './processes.js';
import { get, readAnswer } from './raw-answers.js';
import { type Nginx, start } from './server.js';
import { until } from './waiting.js';

const files = { small: 'small' };

const status = 'location /status { stub_status on; }';

async function active(nginx: Nginx): Promise<number> {
  return Number(/\d+/.exec((await ask(`${nginx.url}/status`)).text)?.[0]);
}

async function connectMany(nginx: Nginx, count: number): Promise<Connection[]> {
  const connections: Connection[] = [];
  while (connections.length < count) {
    const more = Math.min(100, count - connections.length);
    connections.push(...(await Promise.all(Array.from({ length: more }, () => nginx.connect()))));
  }
  return connections;
}

async function askAll(connections: Connection[]) {
  for (const connection of connections) connection.write(get('/small'));
  for (const connection of connections) expect((await readAnswer(connection)).body.toString()).toBe('small');
}

const maximum = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
const idleCount = 2000;
const tooFew = maximum < 2 * idleCount + 100 ? `no more than ${maximum} files may be open` : undefined;

/** A request that gets as far as its answer's first line, and then holds its connection. */
async function hold(connection: Connection): Promise<Connection> {
  connection.write('PUT /held HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n');
  await connection.until('100 Continue\r\n\r\n');
  return connection;
}

/** Let go what is held; the first makes the file, others replace it. */
async function finish(connection: Connection) {
  connection.write('x');
  expect([201, 204]).toContain((await readAnswer(connection, false)).status);
  connection.destroy();
}

describeKinds((kind) => {
  testUnless(tooFew)(`${idleCount} idle connections cost little, and all are served again`, async () => {
    const nginx = await start(kind, {
      files,
      server: status,
      workerConnections: 2 * idleCount,
      main: `worker_rlimit_nofile ${2 * idleCount};`,
    });
    const worker = nginx.workers()[0] as number;
    expect(await active(nginx)).toBe(1);
    const before = residentKib(worker);
    const connections = await connectMany(nginx, idleCount);
    await askAll(connections);
    expect(await active(nginx)).toBe(idleCount + 1);
    // AddressSanitizer keeps what was freed.
    if (!kind.sanitize) expect((residentKib(worker) - before) / idleCount).toBeLessThan(16);
    await askAll(connections);
    for (const connection of connections) connection.destroy();
    await until('they are gone', async () => (await active(nginx)) === 1);
  });

  for (const { name, config } of [
    { name: 'multi_accept on', config: { events: 'multi_accept on;' } },
    { name: 'accept_mutex on', config: { events: 'accept_mutex on; accept_mutex_delay 10ms;', workers: 2 } },
    { name: 'two workers', config: { workers: 2 } },
    { name: 'partition', config: { partition: true } },
    { name: 'partition, more workers than CPUs', config: { partition: true, workers: 5 } },
  ]) {
    test(`400 connections at once, ${name}`, async () => {
      const nginx = await start(kind, { files, server: status, ...config });
      const connections = await connectMany(nginx, 400);
      await askAll(connections);
      expect(await active(nginx)).toBe(401);
      for (const connection of connections.slice(200)) connection.destroy();
      await until('those are gone', async () => (await active(nginx)) === 201);
      await askAll(connections.slice(0, 200));
    });
  }

  // Each has as many accept queues as there are workers: more than lwsockets by their backlogs.
  test('every one of 20 listening sockets answers, with few worker_connections', async () => {
    const nginx = await start(kind, {
      files,
      partition: true,
      workerConnections: 512,
      portCount: 20,
      server: ({ ports }) =>
        ports
          .slice(1)
          .map((port) => `listen 127.0.0.1:${port};`)
          .join(' '),
    });
    for (const port of nginx.ports) await askAll([await nginx.connect(port)]);
  });

  test('idle connections make room for new ones', async () => {
    const nginx = await start(kind, { files, workerConnections: 32 });
    const first = await nginx.connect();
    await askAll([first]);
    for (let i = 0; i < 100; i += 1) await askAll([await nginx.connect()]);
    expect(await first.rest()).toBe('');
  });

  test('when worker_connections are used up, a new client is closed, and one that comes later is served', async () => {
    const nginx = await start(kind, {
      server: 'location /held { dav_methods PUT; }',
      workerConnections: 32,
      expected: [/worker_connections are not enough/],
    });
    const held: Connection[] = [];
    for (let isFull = false; !isFull; ) {
      const connection = await nginx.connect();
      await hold(connection).then(
        () => held.push(connection),
        () => {
          isFull = true;
        },
      );
    }
    expect(held.length).toBeGreaterThan(20);
    for (let i = 0; i < 40; i += 1) expect(await (await nginx.connect()).rest()).toBe('');
    await finish(held.pop() as Connection);
    await untilDone(async () => finish(await hold(await nginx.connect())));
    for (const connection of held) await finish(connection);
    await untilDone(async () => finish(await hold(await nginx.connect())));
  });

  test('a server that is its own upstream uses up its connections, answers that, and serves others', async () => {
    const nginx = await start(kind, {
      files,
      portCount: 2,
      server: ({ ports }) =>
        `listen 127.0.0.1:${ports[1]}; location /loop { proxy_pass http://127.0.0.1:${ports[1]}; }`,
      workerConnections: 64,
      expected: [/worker_connections are not enough/],
    });
    for (let i = 0; i < 3; i += 1) {
      expect([500, 502]).toContain((await ask(`${nginx.url}/loop`)).status);
      for (const port of nginx.ports)
        expect((await ask(`http://127.0.0.1:${port}/small`)).text).toBe('small');
    }
  });
});
