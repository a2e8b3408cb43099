import { renameSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { ask } from './client.js';
import { describeKinds, type Kind } from './kinds.js';
import { get, readAnswer } from './raw-answers.js';
import { start } from './server.js';

const techniques = [
  { name: 'all techniques', config: { partition: true } },
  { name: 'no technique', config: { lwsocket: false, batch: 1 } },
];

const techniquesOf = (kind: Kind) => (kind.engine ? techniques : techniques.slice(0, 1));

/** Text that shows when bytes are lost, doubled or swapped. */
const text = (length: number) => {
  let words = '';
  for (let i = 0; words.length < length; i += 1) words += `${i} `;
  return words.slice(0, length);
};

const small = text(1000);
const large = text(300_000);
const files = { 'small.txt': small, 'large.txt': large, 'empty.txt': '' };

describeKinds((kind) => {
  for (const { name, config } of techniquesOf(kind)) {
    describe(name, () => {
      test('a thousand requests on one connection, and the last closes it', async () => {
        const nginx = await start(kind, { ...config, files, server: 'keepalive_requests 1000;' });
        const connection = await nginx.connect();
        for (let i = 1; i <= 1000; i += 1) {
          connection.write(get('/small.txt'));
          const { head, body } = await readAnswer(connection);
          expect(body.toString()).toBe(small);
          expect(head).toMatch(i < 1000 ? /^Connection: keep-alive\r$/m : /^Connection: close\r$/m);
        }
        expect(await connection.rest()).toBe('');
      });

      test('HTTP/1.0 and Connection: close end the connection after the answer', async () => {
        const nginx = await start(kind, { ...config, files });
        for (const request of [
          'GET /large.txt HTTP/1.0\r\n\r\n',
          get('/large.txt', 'Connection: close\r\n'),
          'GET /large.txt\r\n', // HTTP/0.9
        ]) {
          const connection = await nginx.connect();
          connection.write(request);
          const answer = await connection.rest();
          expect(answer.slice(answer.indexOf('\r\n\r\n') < 0 ? 0 : -large.length)).toBe(large);
        }
      });

      test('3,000 requests in one go are answered in order', async () => {
        const server = 'keepalive_requests 100000; location /said { return 200 $request_uri; }';
        const nginx = await start(kind, { ...config, files, server });
        const connection = await nginx.connect();
        const paths = Array.from({ length: 3000 }, (_, i) => (i % 7 === 3 ? '/small.txt' : `/said/${i}`));
        connection.write(paths.map((path) => get(path)).join(''));
        for (const path of paths) {
          const { body } = await readAnswer(connection);
          expect(body.toString()).toBe(path === '/small.txt' ? small : path);
        }
      });

      test('large answers to pipelined requests are whole', async () => {
        const nginx = await start(kind, { ...config, files });
        const connection = await nginx.connect();
        connection.write(`${get('/large.txt')}${get('/empty.txt')}`.repeat(50));
        for (let i = 0; i < 100; i += 1) {
          const { status, body } = await readAnswer(connection);
          expect(status).toBe(200);
          expect(body.toString() === (i % 2 === 0 ? large : '')).toBe(true);
        }
      });

      test('a request may be split anywhere', async () => {
        const server = `keepalive_requests 100000;
          location /said { return 200 "$request_uri $http_x_word"; }`;
        const nginx = await start(kind, { ...config, files, server });
        const [connection, other] = [await nginx.connect(), await nginx.connect()];
        connection.socket.setNoDelay(true);
        const request = get('/said/split', 'X-Word: megapipe\r\n');
        for (let at = 1; at < request.length; at += 1) {
          connection.write(request.slice(0, at));
          // Not a proof that the first half has been read by now, but it mostly has.
          await other.ask(get('/empty.txt').slice(0, -2), '\r\n\r\n');
          connection.write(request.slice(at));
          const { body } = await readAnswer(connection);
          expect(body.toString()).toBe('/said/split megapipe');
        }
      });

      test('HEAD, ranges and conditions', async () => {
        const nginx = await start(kind, { ...config, files });
        const url = `${nginx.url}/large.txt`;
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        const head = await ask(url, { agent, method: 'HEAD' });
        expect(head).toMatchObject({ status: 200, text: '' });
        expect(head.headers['content-length']).toBe(String(large.length));
        const { etag, 'last-modified': modified } = head.headers as Record<string, string>;
        const range = (bytes: string) => ask(url, { agent, headers: { Range: `bytes=${bytes}` } });
        expect(await range('0-0')).toMatchObject({ status: 206, text: large[0] });
        expect((await range('100-200099')).text === large.slice(100, 200_100)).toBe(true);
        expect((await range('-77')).text).toBe(large.slice(-77));
        expect((await range(`${large.length - 5}-`)).text).toBe(large.slice(-5));
        expect((await range('1-2,150000-150009,-4')).text).toMatch(
          new RegExp(
            [large.slice(1, 3), large.slice(150_000, 150_010), large.slice(-4)]
              .map((part) => `\r\n\r\n${part}\r\n--`)
              .join('[^]*'),
          ),
        );
        expect(await range('900000-')).toMatchObject({ status: 416 });
        const under = (headers: Record<string, string | undefined>) =>
          ask(url, { agent, headers: headers as Record<string, string> });
        expect(await under({ 'If-Modified-Since': modified })).toMatchObject({ status: 304, text: '' });
        expect(await under({ 'If-None-Match': etag })).toMatchObject({ status: 304, text: '' });
        expect(await under({ 'If-None-Match': '"other"' })).toMatchObject({ status: 200 });
        expect(await under({ 'If-Range': etag, Range: 'bytes=5-9' })).toMatchObject({ status: 206 });
        // After this nginx closes the connection, whatever it has said.
        expect(await under({ 'If-Match': '"other"' })).toMatchObject({ status: 412 });
        agent.destroy();
      });

      test('gzip', async () => {
        const server = 'gzip on; gzip_types *; gzip_min_length 1;';
        const nginx = await start(kind, { ...config, files, server });
        for (const [path, content] of Object.entries({ 'large.txt': large, 'small.txt': small })) {
          const answer = await ask(`${nginx.url}/${path}`, { headers: { 'Accept-Encoding': 'gzip' } });
          expect(answer.headers).toMatchObject({
            'content-encoding': 'gzip',
            'transfer-encoding': 'chunked',
          });
          expect(gunzipSync(answer.body).toString() === content).toBe(true);
        }
      });

      test('subrequests are put together in order', async () => {
        const parts = Array.from({ length: 50 }, (_, i) => (i % 10 === 5 ? 'large.txt' : 'small.txt'));
        const page = parts.map((part) => `<!--#include virtual="/${part}" -->|`).join('');
        const nginx = await start(kind, {
          ...config,
          files: { ...files, 'page.html': page },
          server: 'location /page.html { ssi on; ssi_types *; }',
        });
        const answer = await ask(`${nginx.url}/page.html`);
        const expected = parts.map((part) => `${part === 'large.txt' ? large : small}|`).join('');
        expect(answer.text === expected).toBe(true);
      });

      test('errors have their pages', async () => {
        const nginx = await start(kind, {
          ...config,
          files: { ...files, 'sorry.txt': 'sorry' },
          server: `error_page 404 /sorry.txt; error_page 403 =200 /sorry.txt; client_max_body_size 10;
            location /denied { deny all; }
            location /dav { dav_methods PUT; }`,
        });
        expect(await ask(`${nginx.url}/nothing`)).toMatchObject({ status: 404, text: 'sorry' });
        expect(await ask(`${nginx.url}/denied`)).toMatchObject({ status: 200, text: 'sorry' });
        expect(await ask(`${nginx.url}/small.txt`, { method: 'POST' })).toMatchObject({ status: 405 });
        expect(await ask(`${nginx.url}/dav`, { method: 'PUT', body: 'x'.repeat(11) })).toMatchObject({
          status: 413,
        });
        expect(await ask(`${nginx.url}/${'x'.repeat(10_000)}`)).toMatchObject({ status: 414 });
        for (const nonsense of [
          'nonsense\r\n\r\n',
          '\x16\x03\x01\x02\x00\x01\x00',
          `${get('/')}`.slice(0, 8),
        ]) {
          const connection = await nginx.connect();
          connection.socket.end(nonsense, 'latin1');
          expect(await connection.rest()).toMatch(nonsense.startsWith('GET') ? /^$/ : /400 Bad Request/);
        }
      });

      test('what a file cache remembers is served, and replaced', async () => {
        const nginx = await start(kind, {
          ...config,
          files,
          server: 'open_file_cache max=100; open_file_cache_valid 1s; open_file_cache_errors on;',
        });
        const url = `${nginx.url}/small.txt`;
        for (let i = 0; i < 50; i += 1) expect((await ask(url)).text).toBe(small);
        const html = join(nginx.directory, 'html');
        writeFileSync(join(html, 'new.txt'), 'replaced');
        renameSync(join(html, 'new.txt'), join(html, 'small.txt'));
        await expect.poll(async () => (await ask(url)).text).toBe('replaced');
      });

      test('curl, many at a time', async () => {
        const nginx = await start(kind, { ...config, files });
        const args = ['-sS', '-Z', '--parallel-max', '50', '-w', '%{http_code} %{size_download}\\n'];
        const { stdout } = await execa(
          'curl',
          [...args, '-o', '/dev/null', `${nginx.url}/large.txt?[1-300]`],
          {
            timeout: 300_000,
          },
        );
        expect(stdout.split('\n').filter((line) => line === `200 ${large.length}`)).toHaveLength(300);
      });
    });
  }
});
