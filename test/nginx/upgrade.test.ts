import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { describeKinds } from './kinds.js';
import { isRunning, titleOf } from './processes.js';
import { type Nginx, start } from './server.js';
import { tcpUpstream, type Upstream } from './upstream.js';
import { until } from './waiting.js';

const upgrade = ({ port }: Pick<Upstream, 'port'>) => `location / { proxy_pass http://127.0.0.1:${port};
  proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; }`;

/** A WebSocket server that sends everything back. */
async function echoServer(): Promise<{ port: number; clients: Set<unknown> }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  onTestFinished(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return { port: (server.address() as { port: number }).port, clients: server.clients };
}

async function webSocket(nginx: Nginx): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${nginx.port}/`);
  onTestFinished(() => socket.terminate());
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return socket;
}

const sum = (data: Buffer) => createHash('sha1').update(data).digest('hex');

/** Send frames without waiting, and check that all come back in order. */
async function echo(socket: WebSocket, frames: Buffer[]) {
  const wanted = frames.map(sum);
  const received: string[] = [];
  const all = new Promise<void>((resolve, reject) => {
    socket.once('close', () => reject(new Error(`closed after ${received.length} frames`)));
    socket.on('message', (data: Buffer) => {
      received.push(sum(data));
      if (received.length === wanted.length) resolve();
    });
  });
  for (const frame of frames) socket.send(frame);
  await all;
  expect(received).toEqual(wanted);
}

/** Speaks no protocol after the switch; gives the upstream's side to the test. */
async function rawUpgrade() {
  const peers: Socket[] = [];
  const received: Buffer[] = [];
  const upstream = await tcpUpstream((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\nwelcome;');
      peers.push(socket);
      socket.on('data', (data) => received.push(data));
    });
  });
  return { upstream, peers, received: () => Buffer.concat(received).toString() };
}

const upgradeRequest = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n';

describeKinds((kind) => {
  test('thousands of WebSocket frames go through and back', async () => {
    const nginx = await start(kind, { server: upgrade(await echoServer()) });
    const frames = Array.from({ length: 3000 }, (_, i) => randomBytes(i % 200));
    await echo(await webSocket(nginx), frames);
  });

  test('long WebSocket frames on several connections at once', async () => {
    const nginx = await start(kind, { workers: 2, server: upgrade(await echoServer()) });
    const sockets = await Promise.all(Array.from({ length: 8 }, () => webSocket(nginx)));
    await Promise.all(sockets.map((socket, i) => echo(socket, [randomBytes(2_000_000), randomBytes(i)])));
  });

  test('a WebSocket closes from either side', async () => {
    const server = await echoServer();
    const nginx = await start(kind, { server: upgrade(server) });
    for (const how of ['close', 'terminate'] as const) {
      const socket = await webSocket(nginx);
      socket[how]();
      await until('the upstream sees it', () => server.clients.size === 0);
    }
    const socket = await webSocket(nginx);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await until('the upstream has it', () => server.clients.size === 1);
    for (const client of server.clients) (client as WebSocket).terminate();
    await closed;
  });

  test('what follows the switch in the same packet is passed on, either way', async () => {
    const { upstream, received } = await rawUpgrade();
    const nginx = await start(kind, { server: upgrade(upstream) });
    const connection = await nginx.connect();
    connection.write(`${upgradeRequest}early`);
    expect(await connection.until('welcome;')).toMatch(/^HTTP\/1\.1 101 /);
    await until('it is at the upstream', () => received() === 'early');
  });

  test('an upgraded connection that one side ends is ended on the other', async () => {
    const { upstream, peers } = await rawUpgrade();
    const nginx = await start(kind, { server: upgrade(upstream) });
    for (const side of ['client', 'upstream']) {
      const connection = await nginx.connect();
      connection.write(upgradeRequest);
      await connection.until('welcome;');
      const peer = peers.pop() as Socket;
      const peerEnds = new Promise((resolve) => peer.once('end', resolve).once('close', resolve));
      if (side === 'client') connection.socket.end();
      else peer.end('last');
      if (side === 'upstream') expect(await connection.rest()).toBe('last');
      connection.destroy();
      await peerEnds;
      peer.destroy();
    }
  });

  test('a WebSocket outlives a reload, unless worker_shutdown_timeout ends it', async () => {
    const server = upgrade(await echoServer());
    const nginx = await start(kind, { server });
    const [old] = nginx.workers() as [number];
    const socket = await webSocket(nginx);
    await echo(socket, [randomBytes(10)]);
    nginx.configure({ server, main: 'worker_shutdown_timeout 300ms;' });
    nginx.signal('SIGHUP');
    await until('a new worker alone accepts', () => titleOf(old).endsWith('shutting down'));
    await echo(socket, [randomBytes(100_000)]);
    const [next] = nginx.workers().filter((pid) => pid !== old) as [number];
    const short = await webSocket(nginx);
    const closed = new Promise((resolve) => short.once('close', resolve));
    nginx.signal('SIGHUP');
    await closed;
    await until('its worker is gone', () => !isRunning(next));
    await echo(socket, [randomBytes(10)]);
    socket.close();
    await until('the first worker is gone', () => !isRunning(old));
  });

  test('an idle upgraded connection ends by proxy_read_timeout', async () => {
    const { upstream } = await rawUpgrade();
    const nginx = await start(kind, { server: `proxy_read_timeout 300ms; ${upgrade(upstream)}` });
    const connection = await nginx.connect();
    connection.write(upgradeRequest);
    expect(await connection.rest()).toMatch(/welcome;$/);
    expect(nginx.errorLog()).toMatch(/timed out\) while proxying upgraded connection/);
  });
});
