import { readFileSync } from 'node:fs';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { onTestFinished } from 'vitest';
import type { Certificate } from './certificate.js';

/** A server that nginx connects to, and what it has seen. */
export type Upstream = {
  port: number;
  /** How many connections it has accepted. */
  accepted: number;
  /** Those that are open still. */
  open: Set<Socket>;
  /** Listen no more, and reset what is open. */
  stop(): void;
};

/** Where to listen, and whether with TLS; any port of 127.0.0.1 without. */
export type Where = { path?: string; certificate?: Certificate };

function watch(server: Server): Promise<Upstream> {
  const upstream: Upstream = {
    port: 0,
    accepted: 0,
    open: new Set(),
    stop() {
      server.close();
      for (const socket of upstream.open) socket.destroy();
    },
  };
  // With TLS this is the raw connection, which is counted too.
  server.on('connection', (socket: Socket) => {
    upstream.accepted += 1;
    upstream.open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => upstream.open.delete(socket));
  });
  onTestFinished(() => upstream.stop());
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.on('listening', () => {
      upstream.port = (server.address() as AddressInfo).port ?? 0;
      resolve(upstream);
    });
  });
}

function listen(server: Server, { path }: Where): Promise<Upstream> {
  const upstream = watch(server);
  if (path) server.listen(path);
  else server.listen(0, '127.0.0.1');
  return upstream;
}

function keys(certificate: Certificate) {
  return { key: readFileSync(certificate.key), cert: readFileSync(certificate.cert) };
}

/** A peer that speaks whatever the handler speaks, to connections that may be half closed. */
export function tcpUpstream(handler: (socket: Socket) => void, where: Where = {}): Promise<Upstream> {
  const options = { allowHalfOpen: true };
  const guarded = (socket: Socket) => {
    socket.on('error', () => {});
    handler(socket);
  };
  const server = where.certificate
    ? createTls({ ...options, ...keys(where.certificate) }, guarded)
    : createTcp(options, guarded);
  return listen(server, where);
}

/** Node's own HTTP server; it closes no idle connection by itself. */
export function httpUpstream(handler: RequestListener, where: Where = {}): Promise<Upstream> {
  const server = createHttp({ keepAliveTimeout: 0, requestTimeout: 0 }, handler);
  server.on('upgrade', (_request, socket) => socket.destroy());
  if (!where.certificate) return listen(server, where);
  const outer = createTls({ ...keys(where.certificate) }, (socket) => void server.emit('connection', socket));
  return listen(outer, where);
}

/** The whole body of a request or response. */
export async function bodyOf(request: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Answer with what the request was, body and all, as text. */
export const tellRequest: RequestListener = (request, response) => {
  void bodyOf(request).then((body) => {
    const { method, url, httpVersion, headers } = request;
    response.end(JSON.stringify({ method, url, httpVersion, headers, body: body.toString('latin1') }));
  });
};
