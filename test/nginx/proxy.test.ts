import { chmodSync, readFileSync } from 'node:fs';
import { Agent, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { ask, digest, longText, open } from './client.js';
import { describeKinds } from './kinds.js';
import { type Nginx, type Options, start } from './server.js';
import { httpUpstream, tcpUpstream, tellRequest, type Upstream } from './upstream.js';
import { pause, until } from './waiting.js';

const mib = 1 << 20;

/** One location that proxies all to a server. */
const proxyTo = ({ port }: Upstream, more = '') =>
  `location / { proxy_pass http://127.0.0.1:${port}; ${more} }`;

/** The same through an upstream block, which `more` is in. */
const proxyToGroup = (group: string, more = ''): Options => ({
  http: `upstream group { ${group} }`,
  server: `location / { proxy_pass http://group; proxy_http_version 1.1; proxy_set_header Connection "";
    add_header X-Tried $upstream_addr always; ${more} }`,
});

/** A port where nobody listens. */
async function refusingPort(): Promise<number> {
  const upstream = await tcpUpstream(() => {});
  upstream.stop();
  return upstream.port;
}

/** A port that takes connections no more: its queue is full, and nobody accepts. */
async function neverAcceptingPort(): Promise<number> {
  const program = `use IO::Socket::INET; $| = 1;
    my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
    my @queue = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $listener->sockport, Blocking => 0) } 1..8;
    print $listener->sockport, "\\n"; <STDIN>;`;
  const perl = execa('perl', ['-e', program], { reject: false });
  onTestFinished(async () => {
    perl.kill();
    await perl;
  });
  return new Promise((resolve, reject) => {
    perl.stdout.once('data', (line) => resolve(Number(line)));
    void perl.then(({ stderr }) => reject(new Error(`no listener: ${stderr}`)));
  });
}

/** A peer that answers a head as soon as it has a request's, and is then as the handler says. */
const rawUpstream = (handler: (socket: Socket) => void) =>
  tcpUpstream((socket) => void socket.once('data', () => handler(socket)));

const head = (...lines: string[]) => ['HTTP/1.1 200 OK', ...lines, '', ''].join('\r\n');

const accessLog = (nginx: Nginx, name = 'status.log') => readFileSync(join(nginx.directory, name), 'latin1');

/** Logs the status of each request. */
const logStatus = (more: string): Options => ({
  http: 'log_format status "$uri $status";',
  server: `access_log status.log status; ${more}`,
});

describeKinds((kind) => {
  test.each(['1.0', '1.1'])('requests and answers of HTTP/%s go through, and headers', async (version) => {
    const upstream = await httpUpstream((request, response) => {
      response.setHeader('X-From-Upstream', 'yes');
      tellRequest(request, response);
    });
    const nginx = await start(kind, {
      server: proxyTo(upstream, `proxy_http_version ${version}; proxy_set_header X-Real-IP $remote_addr;`),
    });
    for (const method of ['GET', 'POST', 'PUT']) {
      const body = method === 'GET' ? '' : 'some body';
      const answer = await ask(`${nginx.url}/a?b=c`, { method, body });
      expect(answer).toMatchObject({ status: 200, headers: { 'x-from-upstream': 'yes' } });
      const seen = JSON.parse(answer.text);
      expect(seen).toMatchObject({ method, url: '/a?b=c', httpVersion: version, body });
      expect(seen.headers).toMatchObject({ 'x-real-ip': '127.0.0.1', connection: 'close' });
    }
    expect(await ask(nginx.url, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
    expect(upstream.accepted).toBe(4);
    await until('nginx closes its connections', () => upstream.open.size === 0);
  });

  test('an upstream on a UNIX socket', async () => {
    const nginx = await start(kind, {
      server: ({ directory }) => `location / { proxy_pass http://unix:${directory}/html/upstream.sock; }`,
    });
    await httpUpstream(tellRequest, { path: join(nginx.directory, 'html/upstream.sock') });
    chmodSync(join(nginx.directory, 'html/upstream.sock'), 0o777);
    const body = 'x'.repeat(200_000);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask(nginx.url, { method: 'POST', body })),
    );
    for (const answer of answers) expect(JSON.parse(answer.text)).toMatchObject({ body });
  });

  test('proxy_bind chooses the address that nginx connects from', async () => {
    const upstream = await httpUpstream(({ socket }, response) => void response.end(socket.remoteAddress));
    const nginx = await start(kind, { server: proxyTo(upstream, 'proxy_bind 127.0.0.2;') });
    expect(await ask(nginx.url)).toMatchObject({ text: '127.0.0.2' });
  });

  test('many requests at once, each with its own answer', async () => {
    const upstream = await httpUpstream(({ url }, response) => void response.end(`${url} `.repeat(1000)));
    const nginx = await start(kind, { workers: 2, server: proxyTo(upstream) });
    const agent = new Agent({ keepAlive: true, maxSockets: 50 });
    const ask1000 = Array.from({ length: 1000 }, async (_, i) => {
      const { text } = await ask(`${nginx.url}/${i}`, { agent });
      return text === `/${i} `.repeat(1000);
    });
    expect((await Promise.all(ask1000)).every(Boolean)).toBe(true);
    agent.destroy();
  });

  test('pipelined requests are answered in order', async () => {
    const upstream = await httpUpstream(({ url }, response) => void response.end(`<${url}>`));
    const nginx = await start(kind, { server: proxyTo(upstream) });
    const connection = await nginx.connect();
    const requests = Array.from({ length: 50 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
    connection.write(requests.join(''));
    for (let i = 0; i < 50; i += 1) expect(await connection.until('>')).toMatch(new RegExp(`</${i}>$`));
  });

  test('keepalive reuses connections, and keeps no more than it is told', async () => {
    const waiting: ServerResponse[] = [];
    const upstream = await httpUpstream(({ url }, response) => {
      if (url === '/wait') waiting.push(response);
      else response.end('done');
    });
    const nginx = await start(kind, proxyToGroup(`server 127.0.0.1:${upstream.port}; keepalive 3;`));
    for (let i = 0; i < 50; i += 1) expect((await ask(nginx.url)).text).toBe('done');
    expect(upstream.accepted).toBe(1);
    const answers = Array.from({ length: 8 }, () => ask(`${nginx.url}/wait`));
    await until('8 requests are at the upstream', () => waiting.length === 8);
    for (const response of waiting) response.end('done');
    for (const answer of await Promise.all(answers)) expect(answer.text).toBe('done');
    expect(upstream.accepted).toBe(8);
    await until('3 are kept', () => upstream.open.size === 3);
    for (let i = 0; i < 20; i += 1) await ask(nginx.url);
    expect(upstream.accepted).toBe(8);
  });

  test.each(['end', 'resetAndDestroy'] as const)(
    'kept connections that the upstream ends by %s are given up',
    async (how) => {
      const upstream = await httpUpstream((_request, response) => void response.end('done'));
      const nginx = await start(kind, proxyToGroup(`server 127.0.0.1:${upstream.port}; keepalive 3;`));
      for (let i = 1; i <= 10; i += 1) {
        expect(await ask(nginx.url)).toMatchObject({ status: 200, text: 'done' });
        expect(upstream.accepted).toBe(i);
        for (const socket of upstream.open) socket[how]();
        // With `end` it is nginx that must see it and close.
        await until('nginx closes the kept connection', () => upstream.open.size === 0);
      }
    },
  );

  test('keepalive_timeout and keepalive_requests end kept connections', async () => {
    const upstream = await httpUpstream((_request, response) => void response.end('done'));
    const port = `server 127.0.0.1:${upstream.port};`;
    const nginx = await start(kind, {
      http: `upstream hasty { ${port} keepalive 3; keepalive_timeout 100ms; }
        upstream counted { ${port} keepalive 3; keepalive_requests 5; }`,
      server: `proxy_http_version 1.1; proxy_set_header Connection "";
        location /hasty { proxy_pass http://hasty; }
        location /counted { proxy_pass http://counted; }`,
    });
    await ask(`${nginx.url}/hasty`);
    await until('the kept connection times out, and nothing else happens', () => upstream.open.size === 0);
    const before = upstream.accepted;
    for (let i = 0; i < 20; i += 1) await ask(`${nginx.url}/counted`);
    expect(upstream.accepted - before).toBe(4);
  });

  test('the next upstream is tried when one refuses, resets, hangs or talks nonsense', async () => {
    const good = await httpUpstream((_request, response) => void response.end('good'));
    const bad = [
      await refusingPort(),
      (await rawUpstream((socket) => socket.resetAndDestroy())).port,
      (await rawUpstream((socket) => socket.end())).port,
      (await rawUpstream((socket) => socket.write('HTTP/1.1 200 OK\r\nun\0wanted: 1\r\n\r\n'))).port,
      (await rawUpstream(() => {})).port,
    ];
    const servers = [...bad.map((port) => `127.0.0.1:${port} max_fails=0`), `127.0.0.1:${good.port} backup`];
    const nginx = await start(kind, {
      ...proxyToGroup(
        servers.map((server) => `server ${server};`).join(' '),
        'proxy_next_upstream error timeout invalid_header; proxy_read_timeout 300ms;',
      ),
    });
    for (let i = 0; i < 3; i += 1) {
      const { text, headers } = await ask(nginx.url);
      expect(text).toBe('good');
      const tried = String(headers['x-tried'])
        .split(', ')
        .map((address) => Number(address.split(':')[1]));
      expect([...tried].sort()).toEqual([...bad, good.port].sort());
    }
  });

  test('502 when all refuse, and when the only one breaks off before its answer', async () => {
    const resets = await rawUpstream((socket) => socket.resetAndDestroy());
    const nginx = await start(kind, {
      server: `location /refuses { proxy_pass http://127.0.0.1:${await refusingPort()}; }
        location /resets { proxy_pass http://127.0.0.1:${resets.port}; }`,
    });
    for (let i = 0; i < 10; i += 1) {
      expect(await ask(`${nginx.url}/refuses`)).toMatchObject({ status: 502 });
      expect(await ask(`${nginx.url}/resets`)).toMatchObject({ status: 502 });
    }
  });

  test('an answer that breaks off is not passed off as whole', async () => {
    const upstream = await rawUpstream((socket) => {
      socket.write(`${head('Content-Length: 100000')}${'x'.repeat(50_000)}`, () => socket.resetAndDestroy());
    });
    const nginx = await start(kind, { server: proxyTo(upstream) });
    for (let i = 0; i < 5; i += 1) await expect(ask(nginx.url)).rejects.toThrow();
    expect(nginx.workers()).toHaveLength(1);
  });

  test('504 when the upstream is too slow to accept, to answer, or to read', async () => {
    const silent = await tcpUpstream((socket) => socket.pause());
    const nginx = await start(kind, {
      server: `client_max_body_size 0; proxy_request_buffering off;
        location /far { proxy_pass http://127.0.0.1:${await neverAcceptingPort()}; proxy_connect_timeout 200ms; }
        location /silent { proxy_pass http://127.0.0.1:${silent.port}; proxy_read_timeout 200ms; }
        location /unread { proxy_pass http://127.0.0.1:${silent.port}; proxy_send_timeout 200ms; }`,
    });
    expect(await ask(`${nginx.url}/far`)).toMatchObject({ status: 504 });
    expect(nginx.errorLog()).toMatch(/timed out\) while connecting to upstream/);
    expect(await ask(`${nginx.url}/silent`)).toMatchObject({ status: 504 });
    expect(nginx.errorLog()).toMatch(/timed out\) while reading response header from upstream/);
    const connection = await nginx.connect();
    connection.write('POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n');
    connection.write(Buffer.alloc(50_000_000, 'x'));
    expect(await connection.until('\r\n')).toBe('HTTP/1.1 504 Gateway Time-out\r\n');
    expect(nginx.errorLog()).toMatch(/timed out\) while sending request to upstream/);
    silent.stop();
  });

  test.each(['off', 'on'])('64 MiB of answer, proxy_buffering %s', async (buffering) => {
    const upstream = await httpUpstream(
      (_request, response) => void Readable.from(longText(64 * mib)).pipe(response),
    );
    const nginx = await start(kind, {
      server: proxyTo(upstream, `proxy_http_version 1.1; proxy_buffering ${buffering};`),
    });
    const expected = await digest(longText(64 * mib));
    expect(await digest(await open(nginx.url))).toBe(expected);
  });

  test('with proxy_buffering a slow client does not hold the upstream up', async () => {
    const sent = { isWhole: false };
    const upstream = await httpUpstream((_request, response) => {
      Readable.from(longText(20 * mib))
        .pipe(response)
        .on('finish', () => {
          sent.isWhole = true;
        });
    });
    const nginx = await start(kind, { server: proxyTo(upstream) });
    const response = await open(nginx.url);
    await until('the upstream is rid of all', () => sent.isWhole && upstream.open.size === 0);
    expect(await digest(response)).toBe(await digest(longText(20 * mib)));
  });

  test('without proxy_buffering each part comes before the next is sent', async () => {
    const upstreamResponses: ServerResponse[] = [];
    const upstream = await httpUpstream((_request, response) => {
      upstreamResponses.push(response);
      response.write('part 0;');
    });
    const nginx = await start(kind, {
      server: proxyTo(upstream, 'proxy_buffering off; proxy_http_version 1.1;'),
    });
    const connection = await nginx.connect();
    connection.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    for (let part = 1; part <= 20; part += 1) {
      await connection.until(`part ${part - 1};`);
      upstreamResponses[0]?.write(`part ${part};`);
    }
    upstreamResponses[0]?.end();
    expect(await connection.rest()).toMatch(/part 20;\r\n0\r\n\r\n$/);
  });

  test('100 MiB go up, and 100 MiB down, nothing stored in between', async () => {
    const upstream = await httpUpstream((request, response) => {
      void digest(request).then((sum) => {
        response.setHeader('X-Sum', sum);
        Readable.from(longText(100 * mib)).pipe(response);
      });
    });
    const nginx = await start(kind, {
      server: proxyTo(
        upstream,
        `client_max_body_size 0; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;`,
      ),
    });
    const expected = await digest(longText(100 * mib));
    const response = await open(nginx.url, { method: 'POST', body: Readable.from(longText(100 * mib)) });
    expect(response.headers['x-sum']).toBe(expected);
    expect(await digest(response)).toBe(expected);
  });

  test('a request body of 100 MiB with a length, stored first', async () => {
    const upstream = await httpUpstream((request, response) => {
      void digest(request).then((sum) => response.end(`${request.headers['content-length']}: ${sum}`));
    });
    const nginx = await start(kind, { server: proxyTo(upstream, 'client_max_body_size 0;') });
    const headers = { 'Content-Length': 100 * mib };
    const { text } = await ask(nginx.url, {
      method: 'PUT',
      headers,
      body: Readable.from(longText(100 * mib)),
    });
    expect(text).toBe(`${100 * mib}: ${await digest(longText(100 * mib))}`);
  });

  test('without proxy_request_buffering each part is passed on before the next is sent', async () => {
    let received = '';
    const upstream = await tcpUpstream((socket) => {
      socket.on('data', (data) => {
        received += data.toString('latin1');
        if (received.endsWith('0\r\n\r\n')) socket.end(`${head('Content-Length: 3')}all`);
      });
    });
    const nginx = await start(kind, {
      server: proxyTo(upstream, 'proxy_http_version 1.1; proxy_request_buffering off;'),
    });
    const connection = await nginx.connect();
    connection.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let part = 10; part < 30; part += 1) {
      connection.write(`7\r\npart ${part}\r\n`);
      await until('the part is at the upstream', () => received.includes(`part ${part}`));
    }
    connection.write('0\r\n\r\n');
    expect(await connection.until('all')).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('an answer before the request is whole, and the upstream closes', async () => {
    const upstream = await rawUpstream((socket) => {
      socket.end('HTTP/1.1 413 Too Much\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno.');
    });
    const nginx = await start(kind, {
      server: proxyTo(
        upstream,
        'client_max_body_size 0; proxy_http_version 1.1; proxy_request_buffering off;',
      ),
    });
    for (let i = 0; i < 10; i += 1) {
      const connection = await nginx.connect();
      connection.write(
        `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n${'x'.repeat(i * 1000)}`,
      );
      expect(await connection.until('no.')).toMatch(/^HTTP\/1\.1 413 /);
      connection.destroy();
    }
  });

  test('chunked answers, for clients of HTTP/1.1 and of 1.0', async () => {
    const parts = Array.from({ length: 100 }, (_, i) => `${i},`.repeat(i + 1));
    const upstream = await rawUpstream((socket) => {
      // Byte by byte at first, so that sizes and line ends are split everywhere.
      const chunks = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('');
      for (const byte of `${head('Transfer-Encoding: chunked')}${chunks.slice(0, 300)}`) socket.write(byte);
      socket.end(`${chunks.slice(300)}0\r\n\r\n`);
    });
    const nginx = await start(kind, { server: proxyTo(upstream, 'proxy_http_version 1.1;') });
    const expected = parts.join('');
    expect(await ask(nginx.url)).toMatchObject({
      text: expected,
      headers: { 'transfer-encoding': 'chunked' },
    });
    const old = await nginx.connect();
    old.write('GET / HTTP/1.0\r\n\r\n');
    expect((await old.rest()).split('\r\n\r\n')[1]).toBe(expected);
  });

  test('an upstream of HTTP/1.0 that ends its answer by closing', async () => {
    const upstream = await rawUpstream((socket) => {
      socket.end(`HTTP/1.0 200 OK\r\n\r\n${'x'.repeat(1_000_000)}`);
    });
    const nginx = await start(kind, { server: proxyTo(upstream) });
    expect((await ask(nginx.url)).text).toHaveLength(1_000_000);
  });

  test('a client that goes away takes the upstream connection with it', async () => {
    const upstream = await tcpUpstream((socket) => void socket.resume().on('end', () => socket.end()));
    const nginx = await start(kind, logStatus(proxyTo(upstream)));
    for (const how of ['end', 'resetAndDestroy', 'destroy'] as const) {
      const { socket } = await nginx.connect();
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await until('the request is at the upstream', () => upstream.open.size === 1);
      socket[how]();
      await until('nginx closes the upstream connection', () => upstream.open.size === 0);
    }
    await until('nginx logs them', () => accessLog(nginx) === '/ 499\n'.repeat(3));
  });

  test('a client that goes away behind a request that waits takes the upstream connection with it', async () => {
    const upstream = await tcpUpstream((socket) => void socket.resume().on('end', () => socket.end()));
    const nginx = await start(kind, logStatus(proxyTo(upstream)));
    const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
    for (const [together, behind] of [
      ['', request],
      ['', request.repeat(1000)],
      [request.repeat(100), ''],
    ] as const) {
      for (const how of ['end', 'resetAndDestroy', 'destroy'] as const) {
        const { socket } = await nginx.connect();
        socket.write(request + together);
        await until('the request is at the upstream', () => upstream.open.size === 1);
        await new Promise<void>((resolve) => socket.write(behind || ' ', () => resolve()));
        await pause(50);
        socket[how]();
        await until('nginx closes the upstream connection', () => upstream.open.size === 0);
      }
    }
    await until('nginx logs them', () => accessLog(nginx) === '/ 499\n'.repeat(9));
  });

  test('a client that goes away in mid answer takes the upstream connection with it', async () => {
    const upstream = await httpUpstream((_request, response) => {
      const endless = Readable.from(longText(1 << 30));
      endless.pipe(response).on('close', () => endless.destroy());
    });
    const nginx = await start(kind, { server: proxyTo(upstream, 'proxy_max_temp_file_size 0;') });
    for (const how of ['resetAndDestroy', 'destroy'] as const) {
      const { socket } = await nginx.connect();
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await until('some has come', () => socket.bytesRead > 100_000);
      socket[how]();
      await until('nginx closes the upstream connection', () => upstream.open.size === 0);
    }
  });

  test('with proxy_ignore_client_abort the upstream connection lives on', async () => {
    const waiting: ServerResponse[] = [];
    const upstream = await httpUpstream(({ url }, response) => {
      if (url === '/wait') waiting.push(response);
      else response.end('done');
    });
    const nginx = await start(kind, logStatus(proxyTo(upstream, 'proxy_ignore_client_abort on;')));
    const { socket } = await nginx.connect();
    socket.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('the request is at the upstream', () => waiting.length === 1);
    socket.destroy();
    // A few requests later nginx must have seen the client go.
    for (let i = 0; i < 5; i += 1) await ask(nginx.url);
    expect(upstream.open.size).toBeGreaterThan(0);
    waiting[0]?.end('done');
    await until('nginx logs it', () => accessLog(nginx).includes('/wait'));
    expect(accessLog(nginx)).not.toContain('499');
  });
});
