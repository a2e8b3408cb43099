import { type AddressInfo, createServer, type Socket } from 'node:net';

/** How a fake server answers, where it doesn't answer as it should. */
export type Behaviour = {
  /** Send an answer in its own way; where that takes time, the connection's next answer waits. */
  send?: (socket: Socket, answer: Buffer, request: { kind: 'get' | 'set'; number: number }) => unknown;
  /** A connection is there; number counts them from 1. */
  connected?: (socket: Socket, number: number) => void;
};

export type FakeMemcached = {
  address: string;
  /** Connections so far, and those that ended with a reset. */
  connections: number;
  resets: number;
  /** Connections that have ended, in whatever way. */
  ended: number;
  /** Most connections open at once. */
  mostOpen: number;
  requests: number;
  stop(): Promise<void>;
};

type Request = { kind: 'get' | 'set'; keys: string[]; value: Buffer; end: number };

/** The first request in what has been received; undefined: it isn't complete. */
function firstRequest(buffer: Buffer): Request | undefined {
  const lineEnd = buffer.indexOf('\r\n');
  if (lineEnd < 0) return undefined;
  const [word, ...rest] = buffer.toString('latin1', 0, lineEnd).split(' ');
  const start = lineEnd + 2;
  if (word === 'get') return { kind: 'get', keys: rest, value: Buffer.alloc(0), end: start };
  const end = start + Number(rest[3]) + 2;
  if (word !== 'set') throw new Error(`not a request: ${word}`);
  if (buffer.length < end) return undefined;
  return { kind: 'set', keys: [rest[0] ?? ''], value: buffer.subarray(start, end - 2), end };
}

function answerTo({ kind, keys, value }: Request, store: Map<string, Buffer>): Buffer {
  if (kind === 'set') {
    for (const key of keys) store.set(key, Buffer.from(value));
    return Buffer.from('STORED\r\n');
  }
  const parts = keys.flatMap((key) => {
    const found = store.get(key);
    return found ? [Buffer.from(`VALUE ${key} 0 ${found.length}\r\n`), found, Buffer.from('\r\n')] : [];
  });
  return Buffer.concat([...parts, Buffer.from('END\r\n')]);
}

/** A server that speaks enough of memcached's text protocol, and misbehaves as it is told to. */
export async function startFake(behaviour: Behaviour = {}): Promise<FakeMemcached> {
  const store = new Map<string, Buffer>();
  const sockets = new Set<Socket>();
  const send = behaviour.send ?? ((socket, answer) => void socket.write(answer));
  const server = createServer((socket) => {
    let received = Buffer.alloc(0);
    let sending: Promise<unknown> = Promise.resolve();
    sockets.add(socket);
    fake.connections++;
    fake.mostOpen = Math.max(fake.mostOpen, sockets.size);
    socket.setNoDelay(true);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') fake.resets++;
    });
    socket.on('close', () => {
      sockets.delete(socket);
      fake.ended++;
    });
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      for (let r = firstRequest(received); r; r = firstRequest(received)) {
        received = received.subarray(r.end);
        fake.requests++;
        const answer = answerTo(r, store);
        const request = { kind: r.kind, number: fake.requests };
        sending = sending.then(() => send(socket, answer, request));
      }
    });
    behaviour.connected?.(socket, fake.connections);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fake: FakeMemcached = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: 0,
    resets: 0,
    ended: 0,
    mostOpen: 0,
    requests: 0,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}
