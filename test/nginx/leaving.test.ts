import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { connect as connectTls, type SecureVersion } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { makeCertificate } from './certificate.js';
import { ask } from './client.js';
import { describeEngines, type Kind, stock } from './kinds.js';
import { get } from './raw-answers.js';
import { type Nginx, start } from './server.js';
import { tcpUpstream, type Upstream } from './upstream.js';
import { until } from './waiting.js';

type Way = 'close' | 'reset' | 'half-close' | 'close_notify';

/** How clients come: which of the server's ports, by which version of TLS, and whether by HTTP/2. */
const fronts: { name: string; listen: number; version?: SecureVersion; http2: boolean }[] = [
  { name: 'plain', listen: 1, http2: false },
  { name: 'TLS 1.2', listen: 2, version: 'TLSv1.2', http2: false },
  { name: 'TLS 1.3', listen: 2, version: 'TLSv1.3', http2: false },
  { name: 'HTTP/2', listen: 3, http2: true },
  { name: 'HTTP/2 by TLS', listen: 4, version: 'TLSv1.3', http2: true },
];

const upgrade =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;';

/** What is done with their request. */
const passes = {
  buffered: (port: number) => `proxy_pass http://127.0.0.1:${port};`,
  unbuffered: (port: number) => `proxy_buffering off; proxy_pass http://127.0.0.1:${port};`,
  ignoring: (port: number) => `proxy_ignore_client_abort on; proxy_pass http://127.0.0.1:${port};`,
  websocket: (port: number) => `${upgrade} proxy_pass http://127.0.0.1:${port};`,
  grpc: (port: number) => `grpc_pass grpc://127.0.0.1:${port};`,
};

type Pass = keyof typeof passes;

/** One client: how it comes, what it asks for, with how many requests behind, and how it leaves. */
type Row = { name: string; front: (typeof fronts)[number]; pass: Pass; behind: number; way: Way };

function rowsOf(front: Row['front'], pass: Pass): Row[] {
  const ways: Way[] = ['close', 'reset', 'half-close', ...(front.version ? ['close_notify' as const] : [])];
  const behinds = front.http2 || pass === 'websocket' ? [0] : [0, 1, 100];
  return behinds.flatMap((behind) =>
    ways.map((way) => ({
      name: `${front.name}, ${pass}, ${behind} behind, ${way}`,
      front,
      pass,
      behind,
      way,
    })),
  );
}

const rows = fronts.flatMap((front) =>
  (['buffered', 'unbuffered', 'ignoring', front.http2 ? 'grpc' : 'websocket'] as const).flatMap((pass) =>
    rowsOf(front, pass),
  ),
);

const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';

/** Takes the request, and never answers, but for changing the protocol; ends when nginx does. */
function silentUpstream({ pass }: Row): Promise<Upstream> {
  return tcpUpstream((socket) => {
    socket.once('data', () => pass === 'websocket' && socket.write(switching));
    socket.resume().on('end', () => socket.end());
  });
}

/** A connection's bytes without its end: what TLS says at its end is all that the server hears. */
function withoutEnd(socket: Socket): Duplex {
  const layer = new Duplex({
    read: () => {},
    write: (data, _encoding, done) => void socket.write(data, () => done()),
    final: (done) => done(),
  });
  socket.on('data', (data) => layer.push(data));
  socket.on('close', () => layer.destroy());
  layer.on('error', () => {});
  return layer;
}

async function openClient(nginx: Nginx, { front }: Row) {
  const socket = createConnection({
    port: nginx.ports[front.listen] as number,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  if (!front.version) return { socket, stream: socket as Duplex };
  const tls = connectTls({
    socket: withoutEnd(socket),
    rejectUnauthorized: false,
    minVersion: front.version,
    maxVersion: front.version,
    ALPNProtocols: [front.http2 ? 'h2' : 'http/1.1'],
  });
  tls.on('error', () => {});
  await once(tls, 'secureConnect');
  return { socket, stream: tls as Duplex };
}

function askBy(stream: Duplex, { front, pass, behind }: Row, path: string) {
  if (front.http2) {
    const session = connectHttp2('http://localhost', { createConnection: () => stream });
    session.on('error', () => {});
    const request = session.request({ ':path': path, ':method': pass === 'grpc' ? 'POST' : 'GET' });
    request.on('error', () => {}).end();
    return;
  }
  const headers = pass === 'websocket' ? 'Connection: upgrade\r\nUpgrade: websocket\r\n' : '';
  stream.write(get(path, headers) + get(path).repeat(behind));
}

function leave(socket: Socket, stream: Duplex, way: Way) {
  if (way === 'close') socket.destroy();
  else if (way === 'reset') socket.resetAndDestroy();
  else if (way === 'half-close') socket.end();
  else stream.end();
}

/** A client asks, and leaves when nginx waits for its upstream. */
async function come(nginx: Nginx, row: Row, upstream: Upstream, path: string) {
  const { socket, stream } = await openClient(nginx, row);
  const switched = row.pass === 'websocket' ? once(stream, 'data') : undefined;
  if (!switched && !row.front.http2) stream.resume();
  askBy(stream, row, path);
  await until(`${row.name}: the request is at the upstream`, () => upstream.accepted === 1);
  await switched;
  return () => leave(socket, stream, row.way);
}

async function startServer(kind: Kind) {
  const upstreams = await Promise.all(rows.map(silentUpstream));
  const locations = rows.map(
    ({ pass }, i) => `location = /${i} { ${passes[pass](upstreams[i]?.port ?? 0)} }`,
  );
  const nginx = await start(kind, {
    portCount: 5,
    prepare: (directory) => makeCertificate(directory),
    http: 'log_format status "$uri $status";',
    server: ({ ports: [, plain, tls, http2, both] }) => `
      listen 127.0.0.1:${plain}; listen 127.0.0.1:${tls} ssl;
      listen 127.0.0.1:${http2} http2; listen 127.0.0.1:${both} ssl http2;
      ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate localhost.crt; ssl_certificate_key localhost.key;
      access_log access.log status; location = /done { return 204; access_log off; }
      ${locations.join('\n')}`,
  });
  return { nginx, upstreams };
}

/** What is seen of each client that has left: whether nginx still waits for its upstream, and what is logged. */
function look(nginx: Nginx, upstreams: Upstream[]): Record<string, string> {
  const log = readFileSync(join(nginx.directory, 'access.log'), 'latin1').split('\n');
  return Object.fromEntries(
    rows.map(({ name }, i) => {
      const statuses = log.filter((line) => line.startsWith(`/${i} `)).map((line) => line.split(' ')[1]);
      return [name, `${upstreams[i]?.open.size} open, logged ${statuses}`];
    }),
  );
}

async function afterAllHaveLeft(kind: Kind) {
  const { nginx, upstreams } = await startServer(kind);
  // Before nginx is asked to end: it would wait for them.
  onTestFinished(() => {
    for (const upstream of upstreams) upstream.stop();
  });
  const leaves = await Promise.all(rows.map((row, i) => come(nginx, row, upstreams[i] as Upstream, `/${i}`)));
  for (const leaveNow of leaves) leaveNow();
  // A few requests later nginx must have seen them go.
  const settle = async () => {
    for (let i = 0; i < 20; i += 1) await ask(`${nginx.url}/done`);
  };
  await settle();
  return { see: () => look(nginx, upstreams), settle };
}

describeEngines((kind) => {
  test('clients that leave while the upstream is waited for are seen as by stock nginx', async () => {
    const [ours, theirs] = await Promise.all([afterAllHaveLeft(kind), afterAllHaveLeft(stock)]);
    const isSame = () => JSON.stringify(ours.see()) === JSON.stringify(theirs.see());
    await until('both see the same', isSame, 20).catch(() => expect(ours.see()).toEqual(theirs.see()));
    await ours.settle();
    expect(ours.see()).toEqual(theirs.see());
  });
});
