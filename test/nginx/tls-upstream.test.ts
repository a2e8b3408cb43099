import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectHttp2, createServer as createHttp2, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Certificate, makeCertificate } from './certificate.js';
import { ask, digest, longText, open } from './client.js';
import { describeKinds } from './kinds.js';
import { type Options, start } from './server.js';
import { httpUpstream, tcpUpstream, tellRequest, type Upstream } from './upstream.js';

const mib = 1 << 20;

let scratch: string;
let certificate: Certificate;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'megapipe-certificate-'));
  certificate = await makeCertificate(scratch);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const proxyTls = ({ port }: Upstream, more = ''): Options => ({
  http: `upstream group { server 127.0.0.1:${port}; keepalive 2; }`,
  server: `client_max_body_size 0; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_ssl_server_name on; proxy_ssl_name localhost; location / { proxy_pass https://group; ${more} }`,
});

/** An HTTP/2 server without TLS, as gRPC servers are behind a proxy. */
async function http2Upstream(handle: (server: Http2Server) => void): Promise<number> {
  const server = createHttp2();
  handle(server);
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

describeKinds((kind) => {
  test('an upstream with TLS, its connections kept', async () => {
    const upstream = await httpUpstream(tellRequest, { certificate });
    const nginx = await start(kind, proxyTls(upstream));
    for (let i = 0; i < 20; i += 1) {
      const { text } = await ask(`${nginx.url}/${i}`, { method: 'POST', body: `body ${i}` });
      expect(JSON.parse(text)).toMatchObject({ url: `/${i}`, body: `body ${i}` });
    }
    expect(upstream.accepted).toBe(1);
  });

  test('long bodies both ways over TLS', async () => {
    const upstream = await httpUpstream(
      (request, response) => {
        void digest(request).then((sum) => {
          response.setHeader('X-Sum', sum);
          Readable.from(longText(20 * mib)).pipe(response);
        });
      },
      { certificate },
    );
    const nginx = await start(kind, proxyTls(upstream, 'proxy_request_buffering off;'));
    const expected = await digest(longText(20 * mib));
    const answers = Array.from({ length: 3 }, async () => {
      const response = await open(nginx.url, { method: 'POST', body: Readable.from(longText(20 * mib)) });
      expect(response.headers['x-sum']).toBe(expected);
      expect(await digest(response)).toBe(expected);
    });
    await Promise.all(answers);
  });

  test('proxy_ssl_verify accepts the right certificate and refuses another', async () => {
    const upstream = await httpUpstream(tellRequest, { certificate });
    const other = await makeCertificate(scratch, `other-${kind.name.replace(/\W/g, '')}`);
    const verify = ({ cert }: Certificate) => `proxy_ssl_verify on; proxy_ssl_trusted_certificate ${cert};`;
    const good = await start(kind, proxyTls(upstream, verify(certificate)));
    expect(await ask(good.url)).toMatchObject({ status: 200 });
    const bad = await start(kind, proxyTls(upstream, verify(other)));
    expect(await ask(bad.url)).toMatchObject({ status: 502 });
    expect(bad.errorLog()).toMatch(/upstream SSL certificate verify error/);
  });

  test('an upstream that hangs in the handshake, and one that speaks no TLS', async () => {
    const silent = await tcpUpstream((socket) => void socket.resume().on('end', () => socket.end()));
    const hanging = await start(kind, proxyTls(silent, 'proxy_connect_timeout 300ms;'));
    expect(await ask(hanging.url)).toMatchObject({ status: 504 });
    const plain = await start(kind, proxyTls(await httpUpstream(tellRequest)));
    expect(await ask(plain.url)).toMatchObject({ status: 502 });
    expect(plain.errorLog()).toMatch(/SSL_do_handshake\(\) failed/);
  });

  test('gRPC: HTTP/2 to the upstream, with trailers, many calls on one connection', async () => {
    const port = await http2Upstream((server) => {
      server.on('stream', (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.pipe(stream);
      });
    });
    const nginx = await start(kind, {
      http: ({ port: own }) => `server { listen 127.0.0.1:${own} http2; client_max_body_size 0;
        location / { grpc_pass grpc://127.0.0.1:${port}; } }`,
    });
    const session = connectHttp2(nginx.url);
    onTestFinished(() => session.destroy());
    const expected = await digest(longText(mib));
    const calls = Array.from({ length: 10 }, async () => {
      const stream = session.request({ ':method': 'POST', ':path': '/a', te: 'trailers' });
      const trailers = new Promise((resolve) => stream.once('trailers', resolve));
      Readable.from(longText(mib)).pipe(stream);
      expect(await digest(stream)).toBe(expected);
      expect(await trailers).toMatchObject({ 'grpc-status': '0' });
    });
    await Promise.all(calls);
  });
});
