import { createSocket, type Socket as DgramSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Certificate, makeCertificate } from './certificate.js';
import { digest, longText } from './client.js';
import { describeKinds } from './kinds.js';
import { type Nginx, type Options, start } from './server.js';
import { tcpUpstream } from './upstream.js';
import { pause, until } from './waiting.js';

const mib = 1 << 20;

let scratch: string;
let certificate: Certificate;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'megapipe-certificate-'));
  certificate = await makeCertificate(scratch);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A stream server on the second port; nginx's first has HTTP, which nobody asks. */
const streamServer = (directives: string, listen = ''): Options => ({
  portCount: 2,
  stream: ({ ports }) => `server { listen 127.0.0.1:${ports[1]} ${listen}; ${directives} }`,
});

const echo = (socket: Socket) => void socket.pipe(socket);

function dial(nginx: Nginx): Socket {
  const socket = createConnection({ port: nginx.ports[1] as number, host: '127.0.0.1', allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** All until the other side ends; this side stays open, as it would not after `for await`. */
async function textOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks).toString('latin1');
}

/** A UDP peer; the handler gets each datagram, and the way back. */
async function udpUpstream(handler: (data: Buffer, reply: (data: Buffer | string) => void) => void) {
  const socket = createSocket('udp4');
  const senders = new Set<number>();
  socket.on('message', (data, { port, address }) => {
    senders.add(port);
    handler(data, (answer) => socket.send(answer, port, address));
  });
  onTestFinished(() => void socket.close());
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, senders };
}

type UdpClient = { received: string[]; send(data: string | Buffer): void; socket: DgramSocket };

async function udpClient(port: number): Promise<UdpClient> {
  const socket = createSocket('udp4');
  const received: string[] = [];
  socket.on('message', (data) => received.push(data.toString('latin1')));
  socket.on('error', () => {});
  onTestFinished(() => void socket.close());
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return { received, socket, send: (data) => socket.send(data) };
}

/** Datagrams may be lost by any machine that is busy: send again, as resolvers do. */
async function askUdp(client: UdpClient, data: string, answer = data) {
  for (let tries = 0; tries < 60 && !client.received.includes(answer); tries += 1) {
    client.send(data);
    for (let i = 0; i < 50 && !client.received.includes(answer); i += 1) await pause(10);
  }
  expect(client.received).toContain(answer);
}

describeKinds((kind) => {
  test('100 MiB of TCP up and down at once', async () => {
    const upstream = await tcpUpstream(echo);
    const nginx = await start(
      kind,
      streamServer(`proxy_pass 127.0.0.1:${upstream.port}; proxy_half_close on;`),
    );
    const socket = dial(nginx);
    Readable.from(longText(100 * mib)).pipe(socket);
    expect(await digest(socket)).toBe(await digest(longText(100 * mib)));
    await until('nginx closes its connection', () => upstream.open.size === 0);
  });

  test('with proxy_half_close an answer may follow the end of the request, either way', async () => {
    const upstream = await tcpUpstream((socket) => {
      socket.write('hello;');
      void textOf(socket).then((text) => socket.end(`got ${text}`));
    });
    const nginx = await start(
      kind,
      streamServer(`proxy_pass 127.0.0.1:${upstream.port}; proxy_half_close on;`),
    );
    for (let i = 1; i <= 10; i += 1) {
      const socket = dial(nginx);
      socket.end('x'.repeat(i * 20_000));
      expect(await textOf(socket)).toBe(`hello;got ${'x'.repeat(i * 20_000)}`);
    }
    const eager = await tcpUpstream((socket) => {
      socket.end('bye');
      void textOf(socket).then((text) => received.push(text));
    });
    const received: string[] = [];
    nginx.configure(streamServer(`proxy_pass 127.0.0.1:${eager.port}; proxy_half_close on;`));
    const before = nginx.workers();
    nginx.signal('SIGHUP');
    await until('a new worker serves', () => nginx.workers().some((pid) => !before.includes(pid)));
    await until('the old one is gone', () => !nginx.workers().some((pid) => before.includes(pid)));
    const socket = dial(nginx);
    expect(await textOf(socket)).toBe('bye');
    socket.end('late');
    await until('the rest is at the upstream', () => received[0] === 'late');
  });

  test('a side that goes away takes the other with it', async () => {
    const upstream = await tcpUpstream((socket) => void socket.resume().on('end', () => socket.end()));
    const nginx = await start(kind, streamServer(`proxy_pass 127.0.0.1:${upstream.port};`));
    for (const how of ['end', 'destroy', 'resetAndDestroy'] as const) {
      const socket = dial(nginx);
      socket.write('hello');
      await until('the upstream has it', () => upstream.open.size === 1);
      socket[how]();
      await until('nginx closes it', () => upstream.open.size === 0);
    }
    for (const how of ['end', 'destroy', 'resetAndDestroy'] as const) {
      const socket = dial(nginx);
      const gone = new Promise((resolve) => socket.on('end', resolve).on('error', resolve).resume());
      await until('the upstream has it', () => upstream.open.size === 1);
      for (const peer of upstream.open) peer[how]();
      await gone;
      await until('the upstream is rid of it', () => upstream.open.size === 0);
    }
  });

  test('the next upstream is tried when one refuses, and proxy_timeout ends idle connections', async () => {
    const refusing = await tcpUpstream(() => {});
    refusing.stop();
    const upstream = await tcpUpstream(echo);
    const nginx = await start(kind, {
      portCount: 2,
      stream: ({
        ports,
      }) => `upstream group { server 127.0.0.1:${refusing.port}; server 127.0.0.1:${upstream.port}; }
        server { listen 127.0.0.1:${ports[1]}; proxy_pass group; proxy_timeout 300ms; }`,
    });
    for (let i = 0; i < 5; i += 1) {
      const socket = dial(nginx);
      socket.write('hello');
      expect(await textOf(socket)).toBe('hello');
    }
    expect(upstream.accepted).toBe(5);
  });

  test('the PROXY protocol is read, and written', async () => {
    const upstream = await tcpUpstream((socket) => {
      socket.once('data', (data) => void socket.end(data));
    });
    const nginx = await start(
      kind,
      streamServer(
        `proxy_pass 127.0.0.1:${upstream.port}; proxy_protocol on; set_real_ip_from 127.0.0.1;`,
        'proxy_protocol',
      ),
    );
    const socket = dial(nginx);
    socket.write('PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\nhello');
    expect(await textOf(socket)).toMatch(/^PROXY TCP4 192\.0\.2\.7 127\.0\.0\.1 1234 \d+\r\n(hello)?$/);
  });

  test('TLS ends at nginx', async () => {
    const upstream = await tcpUpstream(echo);
    const nginx = await start(
      kind,
      streamServer(
        `proxy_pass 127.0.0.1:${upstream.port}; ssl_certificate ${certificate.cert}; ssl_certificate_key ${certificate.key};`,
        'ssl',
      ),
    );
    const length = 20 * mib;
    const socket = connectTls({
      port: nginx.ports[1],
      host: '127.0.0.1',
      servername: 'localhost',
      ca: readFileSync(certificate.cert),
    });
    onTestFinished(() => void socket.destroy());
    await once(socket, 'secureConnect');
    const received = (async function* () {
      let left = length;
      for await (const chunk of socket) {
        yield chunk as Buffer;
        left -= (chunk as Buffer).length;
        if (left === 0) return;
      }
    })();
    Readable.from(longText(length)).pipe(socket, { end: false });
    expect(await digest(received)).toBe(await digest(longText(length)));
  });

  test('TLS begins at nginx', async () => {
    const upstream = await tcpUpstream(echo, { certificate });
    const nginx = await start(
      kind,
      streamServer(`proxy_pass 127.0.0.1:${upstream.port}; proxy_ssl on; proxy_half_close on;`),
    );
    const socket = dial(nginx);
    socket.write('hello');
    expect(String((await once(socket, 'data'))[0])).toBe('hello');
  });

  test('ssl_preread chooses by the name that the client asks for', async () => {
    const names = ['one.test', 'two.test'];
    const upstreams = await Promise.all(
      names.map(async (name) => ({
        name,
        upstream: await tcpUpstream((socket) => void socket.end(name), {
          certificate: await makeCertificate(scratch, name),
        }),
      })),
    );
    const choices = upstreams.map(({ name, upstream }) => `${name} 127.0.0.1:${upstream.port};`);
    const nginx = await start(kind, {
      portCount: 2,
      stream: ({ ports }) => `map $ssl_preread_server_name $where { ${choices.join(' ')} }
        server { listen 127.0.0.1:${ports[1]}; ssl_preread on; proxy_pass $where; }`,
    });
    for (const name of [...names, ...names]) {
      const socket = connectTls({
        port: nginx.ports[1],
        host: '127.0.0.1',
        servername: name,
        rejectUnauthorized: false,
      });
      onTestFinished(() => void socket.destroy());
      await once(socket, 'secureConnect');
      expect(socket.getPeerCertificate().subject.CN).toBe(name);
      expect(await textOf(socket)).toBe(name);
    }
  });

  test('UDP: each client has its own session, and gets its own answers', async () => {
    const upstream = await udpUpstream((data, reply) => reply(data));
    const nginx = await start(kind, streamServer(`proxy_pass 127.0.0.1:${upstream.port};`, 'udp'));
    const clients = await Promise.all(Array.from({ length: 20 }, () => udpClient(nginx.ports[1] as number)));
    await Promise.all(
      clients.map(async (client, i) => {
        for (let n = 0; n < 20; n += 1) await askUdp(client, `client ${i} datagram ${n}`);
        expect(client.received.every((text) => text.startsWith(`client ${i} `))).toBe(true);
      }),
    );
    expect(upstream.senders.size).toBe(20);
    // A graceful stop would wait for the sessions to time out.
    nginx.signal('SIGTERM');
  });

  test('UDP: datagrams of every length, and several answers to one', async () => {
    const upstream = await udpUpstream((data, reply) => {
      for (const part of ['a', 'b', 'c']) reply(`${part}${data.length}`);
    });
    const nginx = await start(
      kind,
      streamServer(`proxy_pass 127.0.0.1:${upstream.port}; proxy_requests 1; proxy_responses 3;`, 'udp'),
    );
    for (const length of [1, 512, 1472, 1473, 9000, 60_000]) {
      const client = await udpClient(nginx.ports[1] as number);
      await askUdp(client, 'x'.repeat(length), `a${length}`);
      await askUdp(client, 'x'.repeat(length), `b${length}`);
      await askUdp(client, 'x'.repeat(length), `c${length}`);
    }
    nginx.signal('SIGTERM');
  });

  test('UDP: a session ends by proxy_timeout, and a new one begins', async () => {
    const upstream = await udpUpstream((data, reply) => reply(data));
    const nginx = await start(kind, {
      portCount: 2,
      stream: ({ ports }) => `log_format ends "$protocol $status"; access_log ends.log ends;
        server { listen 127.0.0.1:${ports[1]} udp; proxy_pass 127.0.0.1:${upstream.port}; proxy_timeout 200ms; }`,
    });
    const client = await udpClient(nginx.ports[1] as number);
    const log = () =>
      readFileSync(join(nginx.directory, 'ends.log'), 'latin1').trim().split('\n').filter(Boolean);
    await askUdp(client, 'one');
    await until('the session ends', () => log().length === 1);
    await askUdp(client, 'two');
    await until('the other ends', () => log().length >= 2);
    expect(log()).toEqual(log().map(() => 'UDP 200'));
  });
});
