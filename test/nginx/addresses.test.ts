import { chmodSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { connect } from '../memcached/connection.js';
import { testUnless } from '../skip.js';
import { makeCertificate } from './certificate.js';
import { type Answer, ask } from './client.js';
import { describeKinds } from './kinds.js';
import { get, readAnswer } from './raw-answers.js';
import { type Nginx, start } from './server.js';
import { until } from './waiting.js';

const addresses = Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address));
const noIpv6 = addresses.includes('::1') ? undefined : 'this machine has no ::1';

const who = '$remote_addr $remote_port $server_addr $server_port';

const tellWho = `location /who { return 200 "${who}"; }`;

/** The fields of stub_status, its own connection and request among them. */
async function stubStatus(nginx: Nginx): Promise<Record<string, number>> {
  const { text } = await ask(`${nginx.url}/status`);
  const [active, accepts, handled, requests, reading, writing, waiting] = text.match(/\d+/g) as string[];
  const fields = { active, accepts, handled, requests, reading, writing, waiting };
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, Number(value)]));
}

describeKinds((kind) => {
  test('the access log says who asked, by which address, and how much', async () => {
    const nginx = await start(kind, {
      partition: true,
      files: { 'file.txt': 'x'.repeat(100_000) },
      http: `log_format who '${who} $status $body_bytes_sent $request_length $tcpinfo_rtt $connection_requests';`,
      server: 'access_log access.log who;',
    });
    const request = get('/file.txt', 'Connection: close\r\n');
    const log = () => readFileSync(join(nginx.directory, 'access.log'), 'utf8').trim().split('\n');
    for (const localAddress of ['127.0.0.2', '127.0.0.3']) {
      const localPorts: number[] = [];
      for (let i = 0; i < 20; i += 1) {
        const connection = await connect({ port: nginx.port, host: '127.0.0.1', localAddress });
        localPorts.push(connection.socket.localPort as number);
        connection.write(request);
        expect(await connection.rest()).toMatch(/x{100000}$/);
      }
      for (const port of localPorts) {
        const line = new RegExp(
          `^${localAddress} ${port} 127\\.0\\.0\\.1 ${nginx.port} 200 100000 ${request.length} [1-9]\\d* 1$`,
        );
        await until('the log has the line', () => log().some((logged) => line.test(logged)));
      }
    }
    expect(log()).toHaveLength(40);
  });

  test('wildcard and several ports', async () => {
    const nginx = await start(kind, {
      portCount: 3,
      http: ({ ports: [one, two, three] }) => `server { listen ${one}; listen ${two}; ${tellWho} }
        server { listen 127.0.0.1:${two}; location / { return 200 "own $server_addr"; } }
        server { listen 127.0.0.3:${three}; listen 127.0.0.4:${three}; ${tellWho} }`,
    });
    const [one, two, three] = nginx.ports;
    const answer = async (address: string, port: number | undefined) =>
      (await ask(`http://${address}:${port}/who`, { localAddress: '127.0.0.5' })).text;
    expect(await answer('127.0.0.1', one)).toMatch(new RegExp(`^127.0.0.5 \\d+ 127.0.0.1 ${one}$`));
    expect(await answer('127.0.0.9', one)).toMatch(new RegExp(`^127.0.0.5 \\d+ 127.0.0.9 ${one}$`));
    expect(await answer('127.0.0.7', two)).toMatch(new RegExp(`^127.0.0.5 \\d+ 127.0.0.7 ${two}$`));
    expect(await answer('127.0.0.1', two)).toBe('own 127.0.0.1');
    expect(await answer('127.0.0.3', three)).toMatch(/ 127.0.0.3 \d+$/);
    expect(await answer('127.0.0.4', three)).toMatch(/ 127.0.0.4 \d+$/);
  });

  testUnless(noIpv6)('IPv6', async () => {
    const nginx = await start(kind, {
      portCount: 2,
      partition: true,
      http: ({ ports: [one, two] }) =>
        `server { listen [::1]:${one}; listen [::]:${two} ipv6only=off; ${tellWho} }`,
    });
    const [one, two] = nginx.ports;
    expect((await ask(`http://[::1]:${one}/who`)).text).toMatch(new RegExp(`^::1 \\d+ ::1 ${one}$`));
    expect((await ask(`http://[::1]:${two}/who`)).text).toMatch(new RegExp(`^::1 \\d+ ::1 ${two}$`));
    expect((await ask(`http://127.0.0.2:${two}/who`, { localAddress: '127.0.0.6' })).text).toMatch(
      new RegExp(`^(?:::ffff:)?127.0.0.6 \\d+ (?:::ffff:)?127.0.0.2 ${two}$`),
    );
  });

  test('a UNIX socket', async () => {
    const socketPath = ({ directory }: { directory: string }) => join(directory, 'http.socket');
    const nginx = await start(kind, {
      partition: true,
      files: { 'file.txt': 'x'.repeat(1_000_000) },
      http: (place) => `server { listen unix:${socketPath(place)}; root html; ${tellWho} }`,
    });
    chmodSync(socketPath(nginx), 0o777);
    const asked = (path: string): Promise<Answer> =>
      ask(`http://localhost${path}`, { socketPath: socketPath(nginx) });
    expect((await asked('/who')).text).toMatch(/^unix: {2}unix:\S+http.socket $/);
    for (let i = 0; i < 20; i += 1) expect((await asked('/file.txt')).body).toHaveLength(1_000_000);
  });

  test('stub_status counts', async () => {
    const nginx = await start(kind, {
      server: 'location /status { stub_status; } location / { return 204; }',
    });
    expect(await stubStatus(nginx)).toMatchObject({
      active: 1,
      accepts: 1,
      handled: 1,
      requests: 1,
      writing: 1,
    });
    const connections = await Promise.all(Array.from({ length: 20 }, () => nginx.connect()));
    for (const [i, connection] of connections.entries()) {
      for (let j = 0; j <= i; j += 1) {
        connection.write(get('/'));
        expect((await readAnswer(connection, false)).status).toBe(204);
      }
    }
    connections[0]?.write('GET / HT');
    await until('one is being read', async () => {
      const { active, reading, waiting } = await stubStatus(nginx);
      return active === 21 && reading === 1 && waiting === 19;
    });
    const before = await stubStatus(nginx);
    expect(before.accepts).toBe(before.handled);
    // The 20 connections sent 210 requests, and one in part; each of the others sent one.
    expect((before.requests as number) - 211).toBe((before.accepts as number) - 20);
    for (const connection of connections) connection.destroy();
    await until('only the asking connection is there', async () => {
      const { active, waiting, reading } = await stubStatus(nginx);
      return active === 1 && waiting === 0 && reading === 0;
    });
  });

  test('limit_conn refuses one too many, and takes it later', async () => {
    const nginx = await start(kind, {
      files: { 'large.txt': Buffer.alloc(20_000_000) },
      http: 'limit_conn_zone $binary_remote_addr zone=each:1m;',
      server: 'limit_conn each 2; limit_conn_status 429;',
    });
    const stalled = [await nginx.connect(), await nginx.connect()];
    for (const connection of stalled) {
      connection.write(get('/large.txt'));
      await connection.until('\r\n\r\n');
      connection.socket.pause();
    }
    const status = async () => (await ask(`${nginx.url}/large.txt`)).status;
    expect(await status()).toBe(429);
    stalled[0]?.destroy();
    await until('there is room again', async () => (await status()) === 200);
  });

  const signature = Buffer.from([13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]);
  const proxied = {
    text: Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.9 4711 80\r\n'),
    binary: Buffer.concat([
      signature,
      Buffer.from([0x21, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 9, 4711 >> 8, 4711 & 255, 0, 80]),
    ]),
  };
  const tellProxied = `location / {
    return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $remote_addr";
  }`;

  for (const [form, header] of Object.entries(proxied)) {
    test(`the ${form} proxy protocol`, async () => {
      const nginx = await start(kind, {
        http: ({ port }) => `server { listen 127.0.0.1:${port} proxy_protocol; ${tellProxied} }
          set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;`,
      });
      for (let i = 0; i < 20; i += 1) {
        const connection = await nginx.connect();
        connection.write(Buffer.concat([header, Buffer.from(get('/').repeat(2))]));
        for (let answers = 0; answers < 2; answers += 1) {
          expect((await readAnswer(connection)).body.toString()).toBe(
            '192.0.2.7 4711 198.51.100.9 192.0.2.7',
          );
        }
      }
      const bare = await nginx.connect();
      bare.write(get('/'));
      expect(await bare.rest()).toBe('');
    });
  }

  test('the proxy protocol before TLS', async () => {
    const nginx = await start(kind, {
      http: ({ port }) => `ssl_certificate localhost.crt; ssl_certificate_key localhost.key;
        server { listen 127.0.0.1:${port} ssl proxy_protocol; ${tellProxied} }`,
      prepare: makeCertificate,
    });
    const args = ['-sSk', '--haproxy-protocol', `https://127.0.0.1:${nginx.port}/`];
    for (let i = 0; i < 5; i += 1)
      expect((await execa('curl', args, { timeout: 300_000 })).stdout).toMatch(/^127.0.0.1 \d+ 127.0.0.1 /);
  });

  test('options of listen', async () => {
    const options = 'so_keepalive=50s:5s:3 backlog=100 rcvbuf=100k sndbuf=100k deferred fastopen=10';
    const nginx = await start(kind, {
      portCount: 2,
      http: ({ ports: [one, two] }) => `tcp_nodelay on;
        server { listen 127.0.0.1:${one} ${options}; listen 127.0.0.1:${two} reuseport; ${tellWho} }`,
    });
    const connections = [await nginx.connect(), await nginx.connect(nginx.ports[1])];
    for (const connection of connections) {
      connection.write(get('/who'));
      expect((await readAnswer(connection)).status).toBe(200);
    }
    const { stdout } = await execa('ss', ['-Htno', 'state', 'established', 'sport', '=', `:${nginx.port}`]);
    expect(stdout).toMatch(/timer:\(keepalive,/);
  });

  test('a client that comes and says nothing does not hold a deferred accept', async () => {
    const nginx = await start(kind, {
      http: ({ port }) => `server { listen 127.0.0.1:${port} deferred; ${tellWho} }`,
    });
    const silent = await nginx.connect();
    for (let i = 0; i < 20; i += 1) expect((await ask(`${nginx.url}/who`)).status).toBe(200);
    silent.write(get('/who'));
    expect((await readAnswer(silent)).body.toString()).toMatch(`127.0.0.1 ${silent.socket.localPort} `);
  });

  test('a client that has gone before it is accepted', async () => {
    const nginx = await start(kind, { server: tellWho });
    for (let i = 0; i < 100; i += 1) {
      const socket = createConnection({ port: nginx.port, host: '127.0.0.1' });
      await new Promise((resolve) => socket.once('connect', resolve));
      if (i % 2 === 0) socket.end();
      else socket.resetAndDestroy();
    }
    for (let i = 0; i < 20; i += 1) expect((await ask(`${nginx.url}/who`)).status).toBe(200);
  });
});
