import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { pause } from '../../waiting.js';
import { content } from '../content.js';

/** The server that nginx passes requests on to. */
export type Origin = { port: number; openConnections(): number; stop(): void };

/** What `/some/manner/size` asks for. */
function asked(url: string): { manner: string; size: number } {
  const [size = '0', manner = ''] = url.split('/').reverse();
  return { manner: decodeURIComponent(manner), size: Number(size) };
}

async function answerSlowly(response: ServerResponse, body: Buffer) {
  response.writeHead(200, { 'Content-Length': body.length });
  const pieces = 8;
  const size = Math.ceil(body.length / pieces);
  for (let piece = 0; piece < pieces && !response.destroyed; piece += 1) {
    response.write(body.subarray(piece * size, (piece + 1) * size));
    await pause(60);
  }
  response.end();
}

/** Half of what was promised, and then the end. */
async function answerHalf(response: ServerResponse, body: Buffer, end: (socket: Socket) => void) {
  const socket = response.socket as Socket;
  response.writeHead(200, { 'Content-Length': body.length });
  response.write(body.subarray(0, body.length / 2));
  // What was written arrives before the end does.
  await pause(150);
  end(socket);
}

async function answer(request: IncomingMessage, response: ServerResponse) {
  const { manner, size } = asked(request.url as string);
  response.sendDate = false;
  for await (const _ of request);
  const body = content(size);
  if (manner === 'nothing') return;
  if (manner === 'slow') return answerSlowly(response, body);
  if (manner === 'close early') return answerHalf(response, body, (socket) => socket.destroySoon());
  if (manner === 'reset early') return answerHalf(response, body, (socket) => socket.resetAndDestroy());
  if (manner === 'late') await pause(400);
  if (manner === 'close') response.setHeader('Connection', 'close');
  if (manner !== 'chunked') response.setHeader('Content-Length', body.length);
  else response.write(body.subarray(0, body.length / 2));
  response.end(manner === 'chunked' ? body.subarray(body.length / 2) : body);
}

export async function startOrigin(): Promise<Origin> {
  const open = new Set<Socket>();
  const server = createServer({ keepAliveTimeout: 700 }, (request, response) => {
    // A client that leaves is no error of the test's.
    answer(request, response).catch(() => response.destroy());
  });
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 1024, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    openConnections: () => open.size,
    stop() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
