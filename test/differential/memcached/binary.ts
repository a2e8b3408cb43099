import { content } from '../content.js';
import { type Command, keysOf, type Line } from './scenario.js';

/* memcached's binary protocol: the same commands, and headers that are wrong. */

const headerBytes = 24;

const opcodes = {
  get: 0x00,
  set: 0x01,
  delete: 0x04,
  increment: 0x05,
  quit: 0x07,
  flush: 0x08,
  getq: 0x09,
  noop: 0x0a,
  version: 0x0b,
  getk: 0x0c,
  getkq: 0x0d,
  stat: 0x10,
  setq: 0x11,
  quitq: 0x17,
  verbosity: 0x1b,
  touch: 0x1c,
  gat: 0x1d,
  'list mechanisms': 0x20,
  unknown: 0x42,
} as const;

type Request = {
  magic?: number;
  opcode: keyof typeof opcodes;
  extras?: Buffer;
  key?: string;
  value?: Buffer;
  opaque?: number;
  /** What the header says, if it isn't so. */
  says?: { body?: number };
};

function request({ magic = 0x80, opcode, says = {}, opaque = 0, ...parts }: Request): Buffer {
  const { extras = Buffer.alloc(0), key = '', value = Buffer.alloc(0) } = parts;
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(magic, 0);
  header.writeUInt8(opcodes[opcode], 1);
  header.writeUInt16BE(key.length, 2);
  header.writeUInt8(extras.length, 4);
  header.writeUInt32BE(says.body ?? extras.length + key.length + value.length, 8);
  header.writeUInt32BE(opaque, 12);
  return Buffer.concat([header, extras, Buffer.from(key), value]);
}

const numbers = (...words: number[]) => {
  const bytes = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) bytes.writeUInt32BE(word, index * 4);
  return bytes;
};

/**
 * What stands for a line of the text protocol that isn't about a value. Stock reads past the body of a command that it doesn't know,
 * and verbosity is one, into the next command: they have none here.
 */
function lineOf(line: Line): Buffer {
  switch (line) {
    case 'version':
      return request({ opcode: 'version' });
    case 'stats':
      return request({ opcode: 'stat' });
    case 'stats settings':
    case 'stats slabs':
    case 'stats conns':
      return request({ opcode: 'stat', key: line.slice('stats '.length) });
    case 'verbosity 0':
      return request({ opcode: 'verbosity' });
    case 'flush_all 1000000':
      return request({ opcode: 'flush', extras: numbers(1_000_000) });
    case 'quit':
      return request({ opcode: 'quit' });
    case 'lru_crawler mgdump all':
      return request({ opcode: 'quitq' });
    case 'nonsense':
      return request({ opcode: 'unknown' });
    case '':
      return request({ magic: 0x00, opcode: 'noop' });
    case 'get':
      return request({ opcode: 'get' });
    case 'get longkey':
      return request({ opcode: 'getk', key: 'k'.repeat(251) });
    case 'set k 0 0 abc':
      return request({ opcode: 'set', extras: numbers(0), key: 'k', value: content(10) });
    case 'set k 0 0 -1':
      return request({ opcode: 'set', extras: numbers(0, 0), key: 'k', says: { body: 3 } });
    case 'mg':
      return request({ opcode: 'noop', key: 'k' });
    case 'me k':
      return request({ opcode: 'list mechanisms' });
    case 'lru_crawler metadump all':
      return request({ opcode: 'getq', key: 'missing' });
    case 'cache_memlimit 64':
      return request({ opcode: 'set', extras: Buffer.alloc(200), key: 'k'.repeat(300) });
  }
}

const closing: readonly Line[] = [
  'quit',
  'lru_crawler mgdump all',
  '',
  'get',
  'get longkey',
  'set k 0 0 abc',
  'set k 0 0 -1',
  'mg',
  'cache_memlimit 64',
];

/** Whether the server closes the connection of who sends this: it ends it, or its header is wrong. */
export const closes = (command: Command) => command.kind === 'line' && closing.includes(command.line);

function getOf(keys: string[]): Buffer {
  const quiet = keys.map((key, opaque) => request({ opcode: 'getkq', key, opaque }));
  return Buffer.concat([...quiet, request({ opcode: 'noop' })]);
}

/** A command, as it is sent. */
export function binaryOf(command: Command, own: string): Buffer {
  const key = 'key' in command ? `${own}${command.key}` : '';
  switch (command.kind) {
    case 'set':
    case 'meta set': {
      const opcode = command.kind === 'set' && command.noreply ? 'setq' : 'set';
      return request({ opcode, extras: numbers(0, 0), key, value: content(command.size) });
    }
    case 'get':
      return getOf(keysOf(command, own));
    case 'set and get':
      return Buffer.concat([
        request({ opcode: 'set', extras: numbers(0, 0), key, value: content(command.size) }),
        getOf(Array<string>(command.count).fill(key)),
      ]);
    case 'meta get':
      return request({ opcode: command.flags === 't' ? 'gat' : 'getk', key, ...expiry(command.flags) });
    case 'delete':
      return request({ opcode: 'delete', key });
    case 'incr':
      return request({ opcode: 'increment', key, extras: numbers(0, 1, 0, 1, 0) });
    case 'touch':
      return request({ opcode: 'touch', key, extras: numbers(0) });
    case 'line':
      return lineOf(command.line);
  }
}

const expiry = (flags: string) => (flags === 't' ? { extras: numbers(0) } : {});

const markOpaque = 0x6d61726b;

/** A command whose answer shows that all before it were answered: no value holds 0x81. */
export const binaryMark = {
  asked: request({ opcode: 'noop', opaque: markOpaque }),
  answered: Buffer.concat([Buffer.from([0x81, opcodes.noop]), Buffer.alloc(10), numbers(markOpaque)]),
};

type Response = { line: string; isStatistic: boolean };

/** An answer in a line, without what differs by itself: CAS numbers, and statistics' values. */
function show(packet: Buffer): Response | undefined {
  const opcode = packet.readUInt8(1);
  const extras = packet.readUInt8(4);
  const key = packet.toString('latin1', headerBytes + extras, headerBytes + extras + packet.readUInt16BE(2));
  const value = packet.subarray(headerBytes + extras + key.length);
  const isStatistic = opcode === opcodes.stat && key !== '';
  if (isStatistic && /^megapipe/.test(key)) return undefined;
  const head = `${packet.readUInt8(0)} ${opcode} ${packet.readUInt16BE(6)}`;
  if (isStatistic) return { line: `${head} ${key.replace(/^\d+:/, '')}`, isStatistic };
  const shownExtras = packet.toString('hex', headerBytes, headerBytes + extras);
  const opaque = packet.readUInt32BE(12);
  return { line: `${head} ${opaque} ${key} ${shownExtras} ${value.toString('latin1')}`, isStatistic };
}

/** Statistics in a row, of connections by their numbers, are put in order. */
function inOrder(responses: Response[]): string[] {
  const lines: string[] = [];
  let block: string[] = [];
  for (const { line, isStatistic } of [...responses, { line: '', isStatistic: false }]) {
    if (isStatistic) {
      block.push(line);
      continue;
    }
    lines.push(...block.sort(), line);
    block = [];
  }
  return lines;
}

/** All whole answers among what came, a line each. */
export function normaliseBinary(got: Buffer): Buffer {
  const responses: Response[] = [];
  let at = 0;
  while (at + headerBytes <= got.length) {
    const size = headerBytes + got.readUInt32BE(at + 8);
    if (at + size > got.length) break;
    responses.push(...[show(got.subarray(at, at + size)) ?? []].flat());
    at += size;
  }
  return Buffer.from(inOrder(responses).join('\n'), 'latin1');
}

/** Which kinds of answers there were, with their statuses. */
export function summariseBinary(got: Buffer): string {
  const words = got.toString('latin1').match(/^\d+ \d+ \d+(?= )/gm);
  return words ? [...new Set(words)].sort().join(', ') : 'nothing';
}
