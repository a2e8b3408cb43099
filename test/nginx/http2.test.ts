import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import type { ServerResponse } from 'node:http';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  connect,
  constants,
  type SecureClientSessionOptions,
} from 'node:http2';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makeCertificate } from './certificate.js';
import { connectChopped } from './chopped.js';
import { ask, digest, longText } from './client.js';
import { describeKinds, type Kind } from './kinds.js';
import { isRunning } from './processes.js';
import { type Nginx, type Options, start } from './server.js';
import { httpUpstream } from './upstream.js';
import { until } from './waiting.js';

const mebibyte = 1 << 20;

type Wanted = Omit<Options, 'http'> & { tls: boolean; lengths?: Record<string, number> };

/** A server of HTTP/2 on its second port; the first tells its status. */
function startHttp2(kind: Kind, { tls, server = '', lengths = {}, ...options }: Wanted): Promise<Nginx> {
  return start(kind, {
    ...options,
    portCount: 2,
    server: 'location /status { stub_status; }',
    http: ({ ports }) =>
      `${tls ? 'ssl_certificate localhost.crt; ssl_certificate_key localhost.key;' : ''}
      server { listen 127.0.0.1:${ports[1]} http2 ${tls ? 'ssl' : ''}; root html;
        location /said { return 200 $request_uri; } ${server} }`,
    async prepare(directory) {
      await makeCertificate(directory);
      for (const [name, length] of Object.entries(lengths))
        await pipeline(Readable.from(longText(length)), createWriteStream(join(directory, 'html', name)));
    },
  });
}

/** A session that ends with the test. */
function session(
  nginx: Nginx,
  tls: boolean,
  options: ClientSessionOptions | SecureClientSessionOptions = {},
): ClientHttp2Session {
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${nginx.ports[1]}`;
  const opened = connect(url, { rejectUnauthorized: false, ...options });
  opened.on('error', () => {}); // of streams it is told too
  onTestFinished(() => opened.destroy());
  return opened;
}

async function statusOf(stream: ClientHttp2Stream): Promise<number | undefined> {
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  return headers[':status'] as number;
}

describeKinds((kind) => {
  for (const tls of [true, false]) {
    describe(tls ? 'over TLS' : 'in the clear', () => {
      test('streams side by side', async () => {
        const nginx = await startHttp2(kind, { tls, partition: true, files: { file: 'f'.repeat(30_000) } });
        const client = session(nginx, tls);
        for (let round = 0; round < 3; round += 1) {
          const paths = Array.from({ length: 120 }, (_, i) =>
            i % 5 === 0 ? '/file' : `/said/${round}/${i}`,
          );
          const answers = await Promise.all(paths.map((path) => text(client.request({ ':path': path }))));
          const expected = paths.map((path) => (path === '/file' ? 'f'.repeat(30_000) : path));
          expect(answers).toEqual(expected);
        }
      });

      test('large downloads side by side, one of them not read until the others are done', async () => {
        const length = (kind.sanitize ? 3 : 12) * mebibyte + 7;
        const nginx = await startHttp2(kind, { tls, lengths: { large: length } });
        const client = session(nginx, tls);
        const large = () => client.request({ ':path': '/large' });
        const stalled = large();
        expect(await statusOf(stalled)).toBe(200);
        const expected = await digest(longText(length));
        for (const found of await Promise.all([large(), large(), large()].map(digest)))
          expect(found).toBe(expected);
        expect(await text(client.request({ ':path': '/said' }))).toBe('/said');
        expect(await digest(stalled)).toBe(expected);
      });

      test('uploads side by side', async () => {
        const length = 3 * mebibyte + 1;
        const server = 'dav_methods PUT; client_max_body_size 50m;';
        const nginx = await startHttp2(kind, { tls, server });
        const client = session(nginx, tls);
        const names = ['one', 'two', 'three', 'four'];
        const puts = names.map(async (name) => {
          const stream = client.request({ ':method': 'PUT', ':path': `/${name}`, 'content-length': length });
          const status = statusOf(stream.resume());
          await pipeline(Readable.from(longText(length)), stream);
          return status;
        });
        expect(await Promise.all(puts)).toEqual([201, 201, 201, 201]);
        const expected = await digest(longText(length));
        for (const name of names)
          expect(await digest(createReadStream(join(nginx.directory, 'html', name)))).toBe(expected);
      });

      test('streams that the client resets leave the others alone', async () => {
        const nginx = await startHttp2(kind, { tls, lengths: { large: 2 * mebibyte } });
        const client = session(nginx, tls);
        const expected = await digest(longText(2 * mebibyte));
        for (let i = 0; i < 40; i += 1) {
          const broken = client.request({ ':path': '/large' });
          if (i % 2 === 0) await once(broken, 'data');
          broken.close(constants.NGHTTP2_CANCEL);
          if (i % 10 === 0) expect(await digest(client.request({ ':path': '/large' }))).toBe(expected);
        }
        expect(await text(client.request({ ':path': '/said' }))).toBe('/said');
      });

      test('frames that come byte by byte', async () => {
        const nginx = await startHttp2(kind, { tls });
        const port = nginx.ports[1] as number;
        const client = tls
          ? session(nginx, tls, { socket: connectChopped(port) } as SecureClientSessionOptions)
          : session(nginx, tls, { createConnection: () => connectChopped(port) });
        for (let i = 0; i < 5; i += 1)
          expect(await text(client.request({ ':path': `/said/${i}` }))).toBe(`/said/${i}`);
      });

      test('a ping is answered, and a used up session is told to go', async () => {
        const nginx = await startHttp2(kind, { tls, server: 'keepalive_requests 20;' });
        const client = session(nginx, tls);
        await once(client, 'connect');
        await new Promise<void>((resolve, reject) => {
          client.ping((error) => (error ? reject(error) : resolve()));
        });
        const gone = Promise.all([once(client, 'goaway'), once(client, 'close')]);
        for (let i = 0; i < 20; i += 1)
          expect(await text(client.request({ ':path': `/said/${i}` }))).toBe(`/said/${i}`);
        await gone;
      });

      test('an idle session is closed', async () => {
        const nginx = await startHttp2(kind, { tls, server: 'client_header_timeout 1s;' });
        await once(session(nginx, tls), 'close');
      });

      test('sessions that are cut off leave nothing', async () => {
        const nginx = await startHttp2(kind, { tls, lengths: { large: 5 * mebibyte } });
        for (let i = 0; i < 20; i += 1) {
          const client = session(nginx, tls);
          const streams = Array.from({ length: 10 }, () => client.request({ ':path': '/large' }));
          for (const stream of streams) stream.on('error', () => {});
          if (i % 2 === 0) await once(streams[0] as ClientHttp2Stream, 'data');
          client.destroy();
        }
        const active = async () => /\d+/.exec((await ask(`${nginx.url}/status`)).text)?.[0];
        await until('only the asking connection is there', async () => (await active()) === '1');
      });
    });
  }

  test('over a reload, sessions are told to go: active ones, and those that wait for an answer', async () => {
    const waiting: ServerResponse[] = [];
    const upstream = await httpUpstream((_request, response) => void waiting.push(response));
    const server = `location /wait { proxy_pass http://127.0.0.1:${upstream.port}; }`;
    const nginx = await startHttp2(kind, { tls: false, server: `keepalive_requests 1000000; ${server}` });
    const [old] = nginx.workers() as [number];
    const [active, waits] = [session(nginx, false), session(nginx, false)];
    let told = 0;
    for (const client of [active, waits]) client.on('goaway', () => (told += 1));
    const answer = text(waits.request({ ':path': '/wait' }));
    await until('the request is at the upstream', () => waiting.length === 1);
    await text(active.request({ ':path': '/said' }));
    nginx.signal('SIGHUP');
    await until('both are told', async () => {
      // One that is on its way while the session is told to go is refused, to be sent elsewhere; by stock, too.
      const said = active.closed ? '/said' : await text(active.request({ ':path': '/said' })).catch(String);
      expect(said).toMatch(/^\/said$|NGHTTP2_REFUSED_STREAM$/);
      return told === 2;
    });
    waiting[0]?.end('at last');
    expect(await answer).toBe('at last');
    await until('the old worker is gone', () => !isRunning(old));
  });

  test('worker_shutdown_timeout ends a session that keeps a worker', async () => {
    const upstream = await httpUpstream(() => {});
    const server = `location /wait { proxy_pass http://127.0.0.1:${upstream.port}; }`;
    const nginx = await startHttp2(kind, { tls: false, server, main: 'worker_shutdown_timeout 300ms;' });
    const [old] = nginx.workers() as [number];
    const client = session(nginx, false);
    const answer = text(client.request({ ':path': '/wait' })).catch(String);
    await until('the request is at the upstream', () => upstream.accepted === 1);
    nginx.signal('SIGHUP');
    await once(client, 'close');
    await answer;
    await until('the old worker is gone', () => !isRunning(old));
  });

  test('curl speaks it', async () => {
    const nginx = await startHttp2(kind, { tls: true, lengths: { large: 20 * mebibyte } });
    const url = `https://127.0.0.1:${nginx.ports[1]}/large`;
    const args = ['-sSk', '-Z', '--http2', '-w', '%{http_version} %{http_code} %{size_download}\\n'];
    const files = Array.from({ length: 5 }, () => ['-o', '/dev/null', url]).flat();
    const { stdout } = await execa('curl', [...args, ...files], { timeout: 300_000 });
    expect(stdout.split('\n').filter((line) => line === `2 200 ${20 * mebibyte}`)).toHaveLength(5);
  });
});
