import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { makeCertificate } from './certificate.js';
import { connectChopped } from './chopped.js';
import { ask, digest, longText } from './client.js';
import type { Place } from './config.js';
import { describeKinds, type Kind } from './kinds.js';
import { get } from './raw-answers.js';
import { type Nginx, type Options, start } from './server.js';
import { until } from './waiting.js';

const mebibyte = 1 << 20;

const keys = (name = 'localhost') => `ssl_certificate ${name}.crt; ssl_certificate_key ${name}.key;`;

const tellTls = `location /tls {
  return 200 "$ssl_protocol $ssl_session_reused $ssl_server_name $ssl_client_verify $ssl_client_s_dn";
}`;

type Secure = Omit<Options, 'http' | 'server'> & { server?: string; lengths?: Record<string, number> };

/** A server with a certificate on its second port, which tells its status on the first. */
function startSecure(kind: Kind, { server = '', lengths = {}, ...options }: Secure = {}) {
  return start(kind, {
    ...options,
    portCount: 2,
    server: 'location /status { stub_status; }',
    http: ({ ports }: Place) =>
      `${keys()} ssl_protocols TLSv1.2 TLSv1.3;
      server { listen 127.0.0.1:${ports[1]} ssl; root html; ${tellTls} ${server} }`,
    async prepare(directory) {
      await makeCertificate(directory);
      await options.prepare?.(directory);
      for (const [name, length] of Object.entries(lengths))
        await pipeline(Readable.from(longText(length)), createWriteStream(join(directory, 'html', name)));
    },
  });
}

/** A connection whose handshake is done; it ends with the test. */
async function secure(nginx: Nginx, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({
    port: nginx.ports[1] as number,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...options,
  });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

/** Ask, and give all that comes until the server closes. */
async function answerOf(socket: TLSSocket, path = '/tls'): Promise<string> {
  socket.write(get(path, 'Connection: close\r\n'));
  return text(socket);
}

async function onlyOneLeft(nginx: Nginx) {
  const active = async () => /\d+/.exec((await ask(`${nginx.url}/status`)).text)?.[0];
  await until('only the asking connection is there', async () => (await active()) === '1');
}

const curl = (args: string[], input?: Readable) =>
  execa('curl', ['-sSk', ...args], { encoding: 'buffer', timeout: 300_000, ...(input && { input }) });

const versions = ['TLSv1.2', 'TLSv1.3'] as const;

describeKinds((kind) => {
  test('kernel TLS: what it would encrypt arrives, and the log says that it is not used', async () => {
    const server = 'ssl_conf_command Options KTLS;';
    const nginx = await startSecure(kind, { server, files: { small: 'small' } });
    expect(await answerOf(await secure(nginx))).toMatch(/^HTTP\/1\.1 200 /);
    if (kind.engine === undefined) expect(nginx.errorLog()).not.toContain('KTLS');
    else expect(nginx.errorLog()).toMatch(/\[warn\].*Options KTLS" has no effect/);
  });

  for (const version of versions) {
    const only = { minVersion: version, maxVersion: version };

    test(`${version}: handshakes, and sessions resumed from tickets`, async () => {
      const nginx = await startSecure(kind, { partition: true });
      const first = await secure(nginx, only);
      let session: Buffer | undefined = first.getSession();
      first.on('session', (newer: Buffer) => {
        session = newer;
      });
      expect(await answerOf(first)).toMatch(`\r\n\r\n${version} . `);
      for (let i = 0; i < 10; i += 1) {
        const again = await secure(nginx, { ...only, ...(session && { session }) });
        expect(again.isSessionReused()).toBe(true);
        expect(await answerOf(again)).toMatch(`\r\n\r\n${version} r `);
      }
      expect((await secure(nginx, only)).isSessionReused()).toBe(false);
    });

    test(`${version}: a handshake and requests that come byte by byte`, async () => {
      const nginx = await startSecure(kind, { files: { small: 'small' } });
      const socket = connectTls({
        socket: connectChopped(nginx.ports[1] as number),
        rejectUnauthorized: false,
        ...only,
      });
      onTestFinished(() => void socket.destroy());
      await once(socket, 'secureConnect');
      socket.write(get('/small'));
      expect(await answerOf(socket, '/small')).toMatch(/\r\n\r\nsmallHTTP[\s\S]*\r\n\r\nsmall$/);
    });
  }

  test('sessions resumed from a cache of all workers', async () => {
    const server = 'ssl_session_cache shared:all:1m; ssl_session_tickets off;';
    const nginx = await startSecure(kind, { server, partition: true });
    const only = { maxVersion: 'TLSv1.2' } as const;
    const first = await secure(nginx, only);
    const session = first.getSession() as Buffer;
    await answerOf(first);
    for (let i = 0; i < 10; i += 1)
      expect((await secure(nginx, { ...only, session })).isSessionReused()).toBe(true);
  });

  test('a name chooses the certificate', async () => {
    const nginx = await start(kind, {
      http: ({ port }) =>
        ['one', 'two']
          .map(
            (name) =>
              `server { listen 127.0.0.1:${port} ssl; server_name ${name}; ${keys(name)} ${tellTls} }`,
          )
          .join('\n'),
      prepare: (directory) => Promise.all(['one', 'two'].map((name) => makeCertificate(directory, name))),
    });
    for (const servername of ['one', 'two']) {
      const socket = connectTls({
        port: nginx.port,
        host: '127.0.0.1',
        servername,
        rejectUnauthorized: false,
      });
      await once(socket, 'secureConnect');
      expect(socket.getPeerCertificate().subject.CN).toBe(servername);
      expect(await answerOf(socket)).toMatch(` ${servername} NONE `);
    }
  });

  test('clients with and without a certificate', async () => {
    const nginx = await startSecure(kind, {
      server: 'ssl_verify_client on; ssl_client_certificate client.crt;',
      prepare: (directory) => makeCertificate(directory, 'client'),
    });
    const url = `https://127.0.0.1:${nginx.ports[1]}/tls`;
    const { directory } = nginx;
    const page = async (args: string[]) => Buffer.from((await curl(args)).stdout).toString();
    const identity = ['--cert', join(directory, 'client.crt'), '--key', join(directory, 'client.key')];
    expect(await page([...identity, url])).toMatch(/ SUCCESS CN=client$/);
    expect(await page([url, '-w', '%{http_code}'])).toMatch(/No required SSL certificate[\s\S]*400$/);
  });

  for (const { name, server, args } of [
    { name: 'TLSv1.3', server: '', args: [] },
    {
      name: 'TLSv1.2, small records',
      server: 'ssl_buffer_size 1400; sendfile off;',
      args: ['--tls-max', '1.2'],
    },
    {
      name: 'kernel TLS where there is one',
      server: 'ssl_conf_command Options KTLS; sendfile on;',
      args: [],
    },
  ]) {
    test(`a large download over ${name}`, async () => {
      const length = (kind.sanitize ? 8 : 40) * mebibyte + 5;
      const nginx = await startSecure(kind, { server, lengths: { large: length } });
      const expected = await digest(longText(length));
      const url = `https://127.0.0.1:${nginx.ports[1]}/large`;
      const client = execa('curl', ['-sSk', ...args, url], { buffer: false, timeout: 300_000 });
      const [found] = await Promise.all([digest(client.stdout), client]);
      expect(found).toBe(expected);
    });
  }

  test('several downloads at once, one of them stalled', async () => {
    const length = 8 * mebibyte;
    const nginx = await startSecure(kind, { partition: true, lengths: { large: length } });
    const stalled = await secure(nginx);
    stalled.write(get('/large', 'Connection: close\r\n'));
    const expected = await digest(longText(length));
    const url = `https://127.0.0.1:${nginx.ports[1]}/large`;
    const downloads = Array.from({ length: 6 }, async () =>
      digest(Readable.from([(await curl([url])).stdout])),
    );
    for (const found of await Promise.all(downloads)) expect(found).toBe(expected);
    const all = await text(stalled);
    expect(all.length - all.indexOf('\r\n\r\n') - 4).toBeGreaterThan(mebibyte);
  });

  test('a large upload', async () => {
    const length = (kind.sanitize ? 5 : 30) * mebibyte + 1;
    const nginx = await startSecure(kind, { server: 'dav_methods PUT; client_max_body_size 50m;' });
    await curl(['-T', '-', `https://127.0.0.1:${nginx.ports[1]}/put`], Readable.from(longText(length)));
    const stored = createReadStream(join(nginx.directory, 'html/put'));
    expect(await digest(stored)).toBe(await digest(longText(length)));
  });

  test('the end is told: curl takes an answer whose end is the connection’s', async () => {
    const content = Array.from({ length: 40_000 }, (_, i) => `${i} `).join('');
    const server = 'gzip on; gzip_types *; gzip_http_version 1.0;';
    const nginx = await startSecure(kind, { server, files: { 'file.txt': content } });
    const url = `https://127.0.0.1:${nginx.ports[1]}/file.txt`;
    const { stdout } = await curl(['--http1.0', '-H', 'Accept-Encoding: gzip', url]);
    expect(gunzipSync(stdout).toString() === content).toBe(true);
  });

  test('plain HTTP to the TLS port is told so, nonsense is not answered with nonsense', async () => {
    const nginx = await startSecure(kind, { expected: [/SSL_do_handshake\(\) failed/] });
    const port = nginx.ports[1] as number;
    const plain = await nginx.connect(port);
    plain.write(get('/'));
    expect(await plain.rest()).toMatch('The plain HTTP request was sent to HTTPS port');
    const nonsense = await nginx.connect(port);
    nonsense.write('\x16\x03\x01\x00\x05nonsense');
    await nonsense.rest();
    expect(await answerOf(await secure(nginx))).toMatch('200 OK');
  });

  test('a client that goes at any moment of a handshake leaves nothing', async () => {
    const nginx = await startSecure(kind, {
      lengths: { large: 3 * mebibyte },
      expected: [/SSL_(?:do_handshake|shutdown|read|write)\(\) failed/],
    });
    const port = nginx.ports[1] as number;
    const hello = Buffer.from('160301020001000', 'hex');
    for (let i = 0; i < 60; i += 1) {
      const connection = await nginx.connect(port);
      connection.write(hello.subarray(0, i % 7));
      if (i % 2 === 0) connection.socket.end();
      else connection.socket.resetAndDestroy();
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
      socket.on('error', () => {});
      if (i % 3 === 0) await once(socket, 'connect');
      else await once(socket, 'secureConnect');
      if (i % 3 === 2) {
        socket.write(get('/large'));
        await once(socket, 'readable');
      }
      socket.destroy();
    }
    await onlyOneLeft(nginx);
  });
});
