import { createConnection, type NetConnectOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

/** A connection that is written to and read from in turns. */
export type Connection = {
  socket: Socket;
  write(data: string | Buffer): void;
  /** Everything up to and with the text that ends an answer. */
  until(end: string): Promise<string>;
  /** Exactly so many bytes. */
  bytes(length: number): Promise<Buffer>;
  /** Send a line, and read its answer. */
  ask(line: string, end?: string): Promise<string>;
  /** What comes until the other side closes, or resets. */
  rest(): Promise<string>;
  destroy(): void;
};

type Wanted = { length(): number; resolve(data: Buffer): void; reject(error: Error): void };

/** Collects what comes, and gives it out in the pieces that are asked for. */
function reader(socket: Socket) {
  let store = Buffer.alloc(1 << 16);
  let size = 0;
  let searched = 0;
  let hasEnded = false;
  let wanted: Wanted | undefined;

  const keep = (chunk: Buffer) => {
    if (size + chunk.length > store.length)
      store = Buffer.concat([store, Buffer.alloc(store.length + chunk.length)]);
    chunk.copy(store, size);
    size += chunk.length;
  };
  const take = (length: number) => {
    const data = Buffer.from(store.subarray(0, length));
    store.copyWithin(0, length, size);
    size -= length;
    searched = 0;
    return data;
  };
  const settle = () => {
    const length = wanted?.length() ?? -1;
    if (!wanted || (length < 0 && !hasEnded)) return;
    const { resolve, reject } = wanted;
    wanted = undefined;
    if (length >= 0) resolve(take(length));
    else
      reject(
        new Error(
          `the server closed the connection after: ${store.toString('latin1', 0, Math.min(size, 200))}`,
        ),
      );
  };
  const end = () => {
    hasEnded = true;
    settle();
  };
  socket.on('data', (chunk: Buffer) => {
    keep(chunk);
    settle();
  });
  socket.on('error', end).on('end', end).on('close', end);

  const read = (length: Wanted['length']) =>
    new Promise<Buffer>((resolve, reject) => {
      wanted = { length, resolve, reject };
      settle();
    });
  return {
    bytes: (length: number) => read(() => (size < length ? -1 : length)),
    rest: () => read(() => (hasEnded ? size : -1)),
    until: (end: string) =>
      read(() => {
        const at = store.subarray(0, size).indexOf(end, Math.max(0, searched - end.length), 'latin1');
        searched = size;
        return at < 0 ? -1 : at + end.length;
      }),
  };
}

/**
 * Connect to a server.
 *
 * @param secure over TLS, and how
 */
export function connect(target: NetConnectOpts, secure?: ConnectionOptions): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = secure ? connectTls({ ...target, ...secure }) : createConnection(target);
    const { bytes, rest, until } = reader(socket);
    const text = async (data: Promise<Buffer>) => (await data).toString('latin1');
    const connection: Connection = {
      socket,
      write: (data) => void socket.write(data),
      until: (end) => text(until(end)),
      bytes,
      ask(line, end = '\r\n') {
        socket.write(`${line}\r\n`);
        return text(until(end));
      },
      rest: () => text(rest()),
      destroy: () => void socket.destroy(),
    };
    socket.once('error', reject);
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      socket.off('error', reject);
      resolve(connection);
    });
  });
}
