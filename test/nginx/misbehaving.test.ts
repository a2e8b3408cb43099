import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import type { Connection } from '../memcached/connection.js';
import { ask, longText } from './client.js';
import { describeKinds } from './kinds.js';
import { openFiles } from './processes.js';
import { get, readAnswer } from './raw-answers.js';
import { type Nginx, type Options, start } from './server.js';
import { httpUpstream } from './upstream.js';
import { until } from './waiting.js';

const mebibyte = 1 << 20;

/** A server with a file too large for any socket's buffer, and its status. */
const options = (server = ''): Options => ({
  files: { small: 'small' },
  server: `location /status { stub_status; } ${server}`,
  prepare: (directory) =>
    pipeline(Readable.from(longText(40 * mebibyte)), createWriteStream(join(directory, 'html/large'))),
});

async function active(nginx: Nginx): Promise<number> {
  return Number(/\d+/.exec((await ask(`${nginx.url}/status`)).text)?.[0]);
}

const untilOneIsLeft = (nginx: Nginx) =>
  until('only the asking connection is there', async () => (await active(nginx)) === 1);

/** Asks, reads only when its input ends, and tells how the connection ended: node can't tell an end from a reset. */
const stalledReader = `
  my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => shift) or die $@;
  syswrite $socket, "GET /large HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n";
  <STDIN>;
  my $length;
  do { $length = sysread $socket, my $data, 65536 } while $length;
  print defined $length ? "end" : $!;
`;

/** What a client has done when it goes. */
const moments: { name: string; until(connection: Connection, i: number): unknown }[] = [
  { name: 'at once', until: () => {} },
  { name: 'in the middle of a request', until: (c, i) => c.write(get('/large').slice(0, 1 + (i % 40))) },
  { name: 'right after a request', until: (c) => c.write(get('/large')) },
  { name: 'after many requests', until: (c) => c.write(get('/large').repeat(50)) },
  {
    name: 'in the middle of the answer',
    async until(connection, i) {
      connection.write(get('/large'));
      await connection.bytes(1 + i * 50_000);
    },
  },
  {
    name: 'when idle',
    async until(connection) {
      connection.write(get('/small'));
      await readAnswer(connection);
    },
  },
];

/** What to send before nothing more comes, and how long nginx must bear that. */
const timeouts = [
  { server: 'keepalive_timeout 1s;', send: get('/small'), seconds: 1 },
  { server: 'client_header_timeout 1200ms;', send: 'GET /small HT', seconds: 1.2 },
  { server: 'client_header_timeout 1400ms;', send: '', seconds: 1.4 },
  {
    server: 'client_body_timeout 1600ms; location /put { dav_methods PUT; }',
    send: 'PUT /put HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf',
    seconds: 1.6,
  },
];

/** By turns: close, reset, or shut one's side and reset then. */
function goAway({ socket }: Connection, turn: number) {
  if (turn % 3 === 0) socket.destroy();
  else if (turn % 3 === 1) socket.resetAndDestroy();
  else socket.end(() => socket.resetAndDestroy());
}

describeKinds((kind) => {
  for (const lwsocket of kind.engine ? [true, false] : [true]) {
    test(`clients that go at any moment leave nothing, lwsocket ${lwsocket ? 'on' : 'off'}`, async () => {
      const nginx = await start(kind, { ...options(), lwsocket });
      const worker = nginx.workers()[0] as number;
      await untilOneIsLeft(nginx);
      const before = openFiles(worker).length;
      for (const moment of moments) {
        for (let i = 0; i < 30; i += 1) {
          const connection = await nginx.connect();
          await moment.until(connection, i);
          goAway(connection, i);
        }
        await untilOneIsLeft(nginx);
      }
      await until('the descriptors are as before', () => openFiles(worker).length <= before);
      expect(nginx.workers()).toEqual([worker]);
    });
  }

  test('a client that shuts its side after its requests gets all answers', async () => {
    const nginx = await start(kind, options());
    const connection = await nginx.connect();
    connection.socket.end(get('/small').repeat(100));
    for (let i = 0; i < 100; i += 1) expect((await readAnswer(connection)).body.toString()).toBe('small');
    expect(await connection.rest()).toBe('');
  });

  test('timeouts end idle connections, though nothing else wakes the worker', async () => {
    const nginx = await start(kind, {
      files: { small: 'small' },
      portCount: timeouts.length,
      http: ({ ports }) =>
        timeouts
          .map(({ server }, i) => `server { listen 127.0.0.1:${ports[i]}; root html; ${server} }`)
          .join('\n'),
    });
    const ends = timeouts.map(async ({ send, seconds }, i) => {
      const begin = performance.now();
      const connection = await nginx.connect(nginx.ports[i]);
      connection.write(send);
      await connection.rest();
      expect(performance.now() - begin).toBeGreaterThan(seconds * 1000 - 100);
    });
    await Promise.all(ends);
  });

  test('a timer of one connection fires while others keep the worker busy', async () => {
    const nginx = await start(kind, { files: { small: 'small' }, server: 'keepalive_timeout 1s;' });
    const idle = await nginx.connect();
    idle.write(get('/small'));
    await readAnswer(idle);
    let isGone = false;
    const gone = idle.rest().then(() => {
      isGone = true;
    });
    while (!isGone) expect((await ask(`${nginx.url}/small`)).text).toBe('small');
    await gone;
  });

  for (const { reset, ending } of [
    { reset: 'on', ending: 'Connection reset by peer' },
    { reset: 'off', ending: 'end' },
  ]) {
    test(`send_timeout ends a stalled reader, reset_timedout_connection ${reset}`, async () => {
      const nginx = await start(kind, options(`send_timeout 1s; reset_timedout_connection ${reset};`));
      const reader = execa('perl', ['-MIO::Socket::INET', '-e', stalledReader, String(nginx.port)]);
      onTestFinished(() => void reader.kill('SIGKILL'));
      await until('nginx writes to it', async () => (await active(nginx)) === 2);
      await untilOneIsLeft(nginx);
      reader.stdin.end();
      expect((await reader).stdout).toBe(ending);
    });
  }

  test('a slow reader that goes on is not timed out', async () => {
    const nginx = await start(kind, options('send_timeout 3s; sendfile off;'));
    const connection = await nginx.connect();
    connection.write(get('/large'));
    const { body } = await readAnswer(connection);
    expect(body).toHaveLength(40 * mebibyte);
  });

  test('answers that nobody reads end with their connections when the server stops at once', async () => {
    const nginx = await start(kind, options());
    const connections: Connection[] = [];
    for (let i = 0; i < 10; i += 1) {
      const connection = await nginx.connect();
      connection.socket.pause();
      connection.write(get('/large'));
      connections.push(connection);
    }
    await until('nginx writes to them', async () => (await active(nginx)) === 11);
    nginx.signal('SIGTERM');
    for (const { socket } of connections) socket.resume();
    for (const connection of connections)
      expect((await connection.rest().catch(() => '')).length).toBeLessThan(40 * mebibyte);
    await nginx.end();
  });

  test('clients whose next requests have to wait hold no buffers that others need', async () => {
    const upstream = await httpUpstream(() => {});
    const nginx = await start(kind, {
      ...options(`location /wait { proxy_pass http://127.0.0.1:${upstream.port}; }`),
      events: kind.engine ? 'megapipe_buffers 16 4k;' : '',
    });
    const clients = await Promise.all(Array.from({ length: 40 }, () => nginx.connect()));
    for (const client of clients) client.write(get('/wait'));
    await until('all are at the upstream', () => upstream.accepted === clients.length);
    for (const client of clients) client.write(get('/small').repeat(1000));
    for (let i = 0; i < 20; i += 1) expect(await ask(`${nginx.url}/small`)).toMatchObject({ text: 'small' });
    for (const client of clients) client.destroy();
    await untilOneIsLeft(nginx);
  });
});
