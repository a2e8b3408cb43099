import type { Socket } from 'node:net';
import { tcpUpstream, type Upstream } from './upstream.js';

/** A request as a gateway protocol carries it. */
export type GatewayRequest = { parameters: Record<string, string>; body: Buffer };

/** What is answered: CGI headers, an empty line, and a body. */
export type Respond = (request: GatewayRequest) => Buffer;

/** Reads an exact number of bytes at a time. */
function exactReader(socket: Socket) {
  const iterator = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let store: Buffer = Buffer.alloc(0);
  return async (length: number): Promise<Buffer | undefined> => {
    const chunks = [store];
    let size = store.length;
    while (size < length) {
      const { value, done } = await iterator.next();
      if (done) return undefined;
      chunks.push(value);
      size += value.length;
    }
    store = Buffer.concat(chunks);
    const data = store.subarray(0, length);
    store = store.subarray(length);
    return data;
  };
}

type Read = ReturnType<typeof exactReader>;

/** A server whose every connection is one async function; what breaks off is over. */
function gateway(serve: (read: Read, socket: Socket) => Promise<void>): Promise<Upstream> {
  return tcpUpstream((socket) => void serve(exactReader(socket), socket).catch(() => socket.destroy()));
}

const must = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('the connection ended in the middle of a request');
  return value;
};

/** Pairs of FastCGI: a length takes one byte, or four with the highest bit set. */
function fastcgiPairs(data: Buffer): Record<string, string> {
  const pairs: Record<string, string> = {};
  let at = 0;
  const length = () => {
    const isLong = (data[at] as number) > 127;
    at += isLong ? 4 : 1;
    return isLong ? data.readUInt32BE(at - 4) & 0x7fffffff : (data[at - 1] as number);
  };
  while (at < data.length) {
    const nameLength = length();
    const valueLength = length();
    pairs[data.toString('latin1', at, at + nameLength)] = data.toString(
      'latin1',
      at + nameLength,
      at + nameLength + valueLength,
    );
    at += nameLength + valueLength;
  }
  return pairs;
}

const fastcgi = { end: 3, parameters: 4, input: 5, output: 6, errors: 7 };

function fastcgiRecord(type: number, id: number, content: Buffer): Buffer {
  const padding = (8 - (content.length % 8)) % 8;
  const header = Buffer.from([
    1,
    type,
    id >> 8,
    id & 255,
    content.length >> 8,
    content.length & 255,
    padding,
    0,
  ]);
  return Buffer.concat([header, content, Buffer.alloc(padding)]);
}

function fastcgiAnswer(id: number, data: Buffer): Buffer {
  const records: Buffer[] = [fastcgiRecord(fastcgi.errors, id, Buffer.from('said by the gateway'))];
  // Of every length, so that headers lie everywhere.
  for (let at = 0, size = 1; at < data.length; at += size, size = Math.min(size * 2 + 1, 65_000)) {
    records.push(fastcgiRecord(fastcgi.output, id, data.subarray(at, at + size)));
  }
  records.push(fastcgiRecord(fastcgi.output, id, Buffer.alloc(0)));
  records.push(fastcgiRecord(fastcgi.end, id, Buffer.alloc(8)));
  return Buffer.concat(records);
}

/** A FastCGI application, which keeps a connection where it is asked to. */
export function fastcgiUpstream(respond: Respond): Promise<Upstream> {
  return gateway(async (read, socket) => {
    const streams = { [fastcgi.parameters]: [] as Buffer[], [fastcgi.input]: [] as Buffer[] };
    let isKept = false;
    for (;;) {
      const header = await read(8);
      if (!header) break;
      const [, type = 0] = header;
      const content = must(await read(header.readUInt16BE(4)));
      await read(header[6] as number);
      if (type === 1) isKept = content[2] === 1;
      streams[type]?.push(content);
      if (type !== fastcgi.input || content.length > 0) continue;
      const parameters = fastcgiPairs(Buffer.concat(streams[fastcgi.parameters] as Buffer[]));
      const body = Buffer.concat(streams[fastcgi.input] as Buffer[]);
      socket.write(fastcgiAnswer(header.readUInt16BE(2), respond({ parameters, body })));
      streams[fastcgi.parameters] = [];
      streams[fastcgi.input] = [];
      if (!isKept) break;
    }
    socket.end();
  });
}

/** Pairs of uwsgi: each string has its length before it. */
function uwsgiPairs(data: Buffer): Record<string, string> {
  const strings: string[] = [];
  for (let at = 0; at < data.length; ) {
    const length = data.readUInt16LE(at);
    strings.push(data.toString('latin1', at + 2, at + 2 + length));
    at += 2 + length;
  }
  return pairUp(strings);
}

function pairUp(strings: string[]): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (let i = 0; i + 1 < strings.length; i += 2) pairs[strings[i] as string] = strings[i + 1] as string;
  return pairs;
}

async function answerOnce(read: Read, socket: Socket, parameters: Record<string, string>, respond: Respond) {
  const body = must(await read(Number(parameters.CONTENT_LENGTH ?? 0)));
  socket.end(respond({ parameters, body }));
}

/** A uwsgi application: one request a connection. */
export function uwsgiUpstream(respond: Respond): Promise<Upstream> {
  return gateway(async (read, socket) => {
    const header = must(await read(4));
    await answerOnce(read, socket, uwsgiPairs(must(await read(header.readUInt16LE(1)))), respond);
  });
}

/** An SCGI application: its parameters are a netstring. */
export function scgiUpstream(respond: Respond): Promise<Upstream> {
  return gateway(async (read, socket) => {
    let digits = '';
    for (;;) {
      const byte = must(await read(1)).toString();
      if (byte === ':') break;
      digits += byte;
    }
    const data = must(await read(Number(digits) + 1)).toString('latin1');
    await answerOnce(read, socket, pairUp(data.slice(0, -2).split('\0')), respond);
  });
}
