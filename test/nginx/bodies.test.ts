import { createReadStream } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import type { Connection } from '../memcached/connection.js';
import { ask, digest, longText } from './client.js';
import { describeKinds } from './kinds.js';
import { get, readAnswer } from './raw-answers.js';
import { type Nginx, start } from './server.js';
import { httpUpstream, tellRequest } from './upstream.js';
import { until } from './waiting.js';

const mebibyte = 1 << 20;

/** Files may be put into html/. */
const dav = 'dav_methods PUT; client_max_body_size 200m;';

const stored = (nginx: Nginx, name: string) => digest(createReadStream(join(nginx.directory, 'html', name)));

const body = (length: number) => Readable.from(longText(length));

const expected = (length: number) => digest(longText(length));

/** A request head for a body of a length. */
const put = (path: string, length: number, headers = '') =>
  `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n${headers}\r\n`;

/** Where nginx hands the body to, and what comes back is what it was. */
async function startEcho(kind: Parameters<typeof start>[0], directives: string) {
  const upstream = await httpUpstream(tellRequest);
  return start(kind, {
    server: `${directives} location / { proxy_pass http://127.0.0.1:${upstream.port}; }`,
  });
}

const echoed = (text: string) => JSON.parse(text) as { body: string };

/** Whether the connection ends as it should, and not with a reset. */
function endOf(connection: Connection): Promise<string> {
  return new Promise((resolve) => {
    connection.socket.once('end', () => resolve('end'));
    connection.socket.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
    connection.socket.once('close', () => resolve('close'));
  });
}

describeKinds((kind) => {
  const length = (kind.sanitize ? 20 : 100) * mebibyte + 77;

  test('a large body goes to a file', async () => {
    const nginx = await start(kind, { server: dav });
    const answer = await ask(`${nginx.url}/put`, {
      method: 'PUT',
      headers: { 'Content-Length': length },
      body: body(length),
    });
    expect(answer.status).toBe(201);
    expect(await stored(nginx, 'put')).toBe(await expected(length));
  });

  test('a large body in chunks', async () => {
    const nginx = await start(kind, { partition: true, server: dav });
    const answer = await ask(`${nginx.url}/put`, { method: 'PUT', body: body(30 * mebibyte) });
    expect(answer.status).toBe(201);
    expect(await stored(nginx, 'put')).toBe(await expected(30 * mebibyte));
  });

  test('several bodies at once', async () => {
    const nginx = await start(kind, { partition: true, server: dav });
    const lengths = [1, 1000, 16_384, 16_385, 1_000_000, 5_000_001, 9 * mebibyte];
    const puts = lengths.map((each) =>
      ask(`${nginx.url}/put${each}`, {
        method: 'PUT',
        headers: { 'Content-Length': each },
        body: body(each),
      }),
    );
    for (const answer of await Promise.all(puts)) expect(answer.status).toBe(201);
    for (const each of lengths) expect(await stored(nginx, `put${each}`)).toBe(await expected(each));
  });

  test('a client that waits for 100 Continue', async () => {
    const nginx = await start(kind, { server: dav });
    const connection = await nginx.connect();
    for (let i = 0; i < 10; i += 1) {
      connection.write(put('/put', 5, 'Expect: 100-continue\r\n'));
      expect(await connection.until('\r\n\r\n')).toBe('HTTP/1.1 100 Continue\r\n\r\n');
      connection.write('hello');
      expect((await readAnswer(connection, false)).status).toBe(i === 0 ? 201 : 204);
    }
  });

  test('curl puts a file', async () => {
    const nginx = await start(kind, { server: dav });
    const args = ['-sS', '-T', '-', '-H', 'Expect: 100-continue', `${nginx.url}/put`, '-w', '%{http_code}'];
    const { stdout } = await execa('curl', args, { input: body(10 * mebibyte), timeout: 300_000 });
    expect(stdout).toBe('201');
    expect(await stored(nginx, 'put')).toBe(await expected(10 * mebibyte));
  });

  test('a body in memory', async () => {
    const nginx = await startEcho(kind, 'client_body_buffer_size 2m; client_max_body_size 2m;');
    for (const size of [1, 100, 8000, 16_000, 70_000, 1_500_000]) {
      const text = Buffer.concat(await Readable.from(longText(size)).toArray()).toString('latin1');
      const answer = await ask(nginx.url, {
        method: 'POST',
        headers: { 'Content-Length': size },
        body: Buffer.from(text, 'latin1'),
      });
      expect(echoed(answer.text).body === text).toBe(true);
    }
  });

  test('a body that comes byte by byte, and the next request behind it', async () => {
    const nginx = await startEcho(kind, 'keepalive_requests 1000;');
    const [connection, other] = [await nginx.connect(), await nginx.connect()];
    connection.socket.setNoDelay(true);
    const word = 'megapipe';
    for (const rest of [word, `4\r\nmega\r\n4;x=y\r\npipe\r\n0\r\n\r\n`]) {
      const how = rest === word ? 'Content-Length: 8' : 'Transfer-Encoding: chunked';
      for (const letter of `POST / HTTP/1.1\r\nHost: a\r\n${how}\r\n\r\n${rest}GET /next HTTP/1.1\r\nHost: b\r\n\r`) {
        connection.write(letter);
        // Mostly this takes long enough for the letter to be read alone.
        other.write(get('/'));
        await readAnswerOfAnyForm(other);
      }
      expect(await readAnswerOfAnyForm(connection)).toMatch('"body":"megapipe"');
      connection.write('\n');
      expect(await readAnswerOfAnyForm(connection)).toMatch('"url":"/next"');
    }
  });

  test('a body that nobody wants is skipped, and the next request is not', async () => {
    const nginx = await start(kind, { files: { small: 'small' }, server: 'client_max_body_size 50m;' });
    const connection = await nginx.connect();
    for (const size of [1, 1000, 100_000, 10_000_000]) {
      connection.write(put('/small', size).replace('PUT', 'GET'));
      connection.write(Buffer.alloc(size, 'GET / HTTP/1.1\r\n\r\n'));
      connection.write(get('/small'));
      for (let i = 0; i < 2; i += 1) expect((await readAnswer(connection)).body.toString()).toBe('small');
    }
  });

  for (const lingering of ['on', 'always']) {
    test(`a client that still sends reads why it was refused, lingering_close ${lingering}`, async () => {
      const nginx = await start(kind, { server: `client_max_body_size 1k; lingering_close ${lingering};` });
      const connection = await nginx.connect();
      const size = 30_000_000;
      connection.write(put('/put', size, 'Connection: close\r\n'));
      connection.write(Buffer.alloc(size));
      const answer = connection.until('\r\n\r\n');
      expect(await answer).toMatch(/^HTTP\/1.1 413 /);
      const end = endOf(connection);
      connection.socket.end();
      expect(await end).toBe('end');
    });
  }

  test('without lingering_close the connection ends at once', async () => {
    const nginx = await start(kind, { server: 'client_max_body_size 1k; lingering_close off;' });
    const connection = await nginx.connect();
    connection.write(put('/put', 1_000_000, 'Connection: close\r\n'));
    connection.write(Buffer.alloc(1_000_000));
    expect(await connection.rest()).toMatch(/^HTTP\/1.1 413 /);
  });

  test('a client that goes before its body is whole leaves nothing', async () => {
    const nginx = await start(kind, { server: `${dav} location /status { stub_status; }` });
    for (let i = 0; i < 40; i += 1) {
      const connection = await nginx.connect();
      connection.write(put('/put', 10_000_000));
      connection.write(Buffer.alloc(i * 20_000));
      if (i % 2 === 0) connection.socket.end();
      else connection.socket.resetAndDestroy();
    }
    const active = async () => /\d+/.exec((await ask(`${nginx.url}/status`)).text)?.[0];
    await until('only the asking connection is there', async () => (await active()) === '1');
    expect((await ask(`${nginx.url}/put`)).status).toBe(404);
  });

  test('a client that says 100 Continue is not needed', async () => {
    const nginx = await start(kind, { server: dav });
    const outgoing = request(`${nginx.url}/put`, { method: 'PUT', headers: { Expect: '100-continue' } });
    const answered = new Promise<number | undefined>((resolve, reject) => {
      outgoing.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject);
    });
    outgoing.end(Buffer.alloc(100_000));
    expect(await answered).toBe(201);
  });
});

/** An answer of a proxied server: a length, or chunks. */
async function readAnswerOfAnyForm(connection: Connection): Promise<string> {
  const head = await connection.until('\r\n\r\n');
  const length = /^content-length: (\d+)\r$/im.exec(head)?.[1];
  if (length !== undefined) return (await connection.bytes(Number(length))).toString();
  return connection.until('\r\n0\r\n\r\n');
}
