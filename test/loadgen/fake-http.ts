import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A request as it came. */
export type Received = {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
  /** Counted from 1, over all connections and of its own. */
  number: number;
  onConnection: number;
  connection: number;
};

/** Answers a request in its own way; where that takes time, the connection's next answer waits. */
export type Answer = (socket: Socket, request: Received) => unknown;

export type FakeHttp = {
  url: string;
  port: number;
  requests: Received[];
  /** Connections so far, and those that ended with a reset or in order. */
  connections: number;
  resets: number;
  ends: number;
  stop(): Promise<void>;
};

type Parsed = Pick<Received, 'method' | 'path' | 'headers' | 'body'> & { end: number };

/** The first request in what has been received; undefined: it isn't complete. */
function firstRequest(buffer: Buffer): Parsed | undefined {
  const headEnd = buffer.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [line = '', ...lines] = buffer.toString('latin1', 0, headEnd).split('\r\n');
  const [method = '', path = '', version] = line.split(' ');
  if (version !== 'HTTP/1.1') throw new Error(`not a request: ${line}`);
  const headers = Object.fromEntries(
    lines.map((text) => [
      text.slice(0, text.indexOf(':')).toLowerCase(),
      text.slice(text.indexOf(':') + 1).trim(),
    ]),
  );
  const end = headEnd + 4 + Number(headers['content-length'] ?? 0);
  if (buffer.length < end) return undefined;
  return { method, path, headers, body: buffer.toString('latin1', headEnd + 4, end), end };
}

/** An answer with a body. */
export function answerOf(body: string, head = ''): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body, 'latin1')}\r\n${head}\r\n${body}`;
}

/** A server that takes requests apart, keeps them, and answers as it is told to. */
export async function startFakeHttp(
  answer: Answer = (socket) => socket.write(answerOf('hello')),
  { unix = false }: { unix?: boolean } = {},
): Promise<FakeHttp & { socket: string }> {
  const sockets = new Set<Socket>();
  const scratch = mkdtempSync(join(tmpdir(), 'megapipe-fake-'));
  chmodSync(scratch, 0o755);
  const server = createServer((socket) => {
    const connection = ++fake.connections;
    let received = Buffer.alloc(0);
    let onConnection = 0;
    let sending: Promise<unknown> = Promise.resolve();
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') fake.resets++;
    });
    socket.on('end', () => fake.ends++);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      for (let r = firstRequest(received); r; r = firstRequest(received)) {
        received = received.subarray(r.end);
        const { end: _, ...parsed } = r;
        const number = fake.requests.length + 1;
        const request = { ...parsed, number, onConnection: ++onConnection, connection };
        fake.requests.push(request);
        sending = sending.then(() => answer(socket, request));
      }
    });
  });
  const path = join(scratch, 'socket');
  await new Promise<void>((resolve) =>
    unix ? server.listen(path, resolve) : server.listen(0, '127.0.0.1', resolve),
  );
  const port = unix ? 80 : (server.address() as AddressInfo).port;
  const fake: FakeHttp & { socket: string } = {
    url: `http://127.0.0.1:${port}/`,
    port,
    socket: path,
    requests: [],
    connections: 0,
    resets: 0,
    ends: 0,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(scratch, { recursive: true, force: true });
    },
  };
  return fake;
}
