import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { root } from '../../src/base/paths.js';
import { libmegapipeArchive } from '../../src/build/native.js';
import { llhttpArguments } from './llhttp.js';

const scratch = mkdtempSync(join(tmpdir(), 'megapipe-parse-'));
const program = join(scratch, 'http-parse');
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

beforeAll(async () => {
  const ours = [
    'run',
    'worker',
    'conn',
    'pace',
    'output',
    'memcached_ascii',
    'memcached_binary',
    'http',
    'echo',
  ];
  await execa('cc', [
    ...['-std=gnu11', '-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-pthread'],
    join(root, 'test/loadgen/http-parse.c'),
    ...ours.map((name) => join(root, 'loadgen/native', `${name}.c`)),
    ...(await llhttpArguments()),
    ...[libmegapipeArchive(), '-lz', '-o', program],
  ]);
});

const outcome = z.object({
  /** EPROTO: no answer of HTTP; ESHUTDOWN: the server ends the connection. */
  rc: z.enum(['', 'EPROTO', 'ESHUTDOWN']),
  /** The peer closed, and was free to. */
  ended: z.boolean(),
  unanswered: z.number(),
  answered: z.number(),
  bodyBytes: z.number(),
  verified: z.number(),
  verification: z.number(),
  server: z.number(),
  complaint: z.string(),
  statuses: z.array(z.number()),
});

type Asked = { methods?: string; end?: boolean; status?: number; length?: number; crc?: number };

/** What bytes come to, however they are cut: the program compares all ways. */
async function take(bytes: string | Buffer, { methods = 'G', end = false, ...must }: Asked = {}) {
  const expected = [must.status, must.length, must.crc].map((n) => String(n ?? -1));
  const { stdout } = await execa(program, [methods, end ? '1' : '0', ...expected], {
    input: typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes,
    env: { ASAN_OPTIONS: 'detect_leaks=0' },
  });
  return outcome.parse(JSON.parse(stdout));
}

const ok = 'HTTP/1.1 200 OK\r\n';
const hello = `${ok}Content-Length: 5\r\n\r\nhello`;
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;

describe('an answer, cut anywhere', () => {
  test('with a length', async () => {
    expect(await take(hello)).toMatchObject({
      rc: '',
      answered: 1,
      unanswered: 0,
      bodyBytes: 5,
      statuses: [200],
    });
  });

  test('of many headers, folded, in any case, with blanks', async () => {
    const head = `${ok}Server: a\r\n b\r\n\tc\r\nCONTENT-length:   5   \r\nX-Empty:\r\nDate: now\r\n\r\n`;
    expect(await take(`${head}hello`)).toMatchObject({ rc: '', answered: 1, bodyBytes: 5 });
  });

  test('in chunks, with extensions and trailers', async () => {
    const body = '5;a=b\r\nhello\r\n1\r\n \r\nA\r\nworld12345\r\n0\r\nTrailer: x\r\n\r\n';
    expect(await take(chunked + body)).toMatchObject({ rc: '', answered: 1, bodyBytes: 16 });
  });

  test('in chunks of nothing', async () => {
    expect(await take(`${chunked}0\r\n\r\n`)).toMatchObject({ rc: '', answered: 1, bodyBytes: 0 });
  });

  test('without a body, where none comes', async () => {
    const none = `HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n`;
    const empty = `${ok}Content-Length: 0\r\n\r\n`;
    expect(await take(none + empty, { methods: 'GGG' })).toMatchObject({
      answered: 3,
      unanswered: 0,
      statuses: [200, 204, 304],
      bodyBytes: 0,
    });
  });

  test('to HEAD, whose length is of a body that doesn’t come', async () => {
    const head = `${ok}Content-Length: 500\r\n\r\n`;
    const both = await take(`${head}${hello}${chunked}${hello}`, { methods: 'HGHG' });
    expect(both).toMatchObject({ rc: '', answered: 4, unanswered: 0, bodyBytes: 10 });
  });

  test('of HTTP/1.0, which ends with the connection', async () => {
    const old = 'HTTP/1.0 200 OK\r\n\r\nall of this is the body\r\n\r\n';
    expect(await take(old, { end: true })).toMatchObject({ answered: 1, ended: true, bodyBytes: 27 });
    expect(await take(old)).toMatchObject({ answered: 0, unanswered: 1 });
  });

  test('of HTTP/1.0 with a length, and of 1.0 that keeps alive', async () => {
    const closes = 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello';
    expect(await take(closes)).toMatchObject({ rc: 'ESHUTDOWN', answered: 1 });
    const stays = 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello';
    expect(await take(stays + stays, { methods: 'GG' })).toMatchObject({ rc: '', answered: 2 });
  });

  test('of unknown length', async () => {
    const open = `${ok}Connection: close\r\n\r\nsome`;
    expect(await take(open, { end: true })).toMatchObject({ answered: 1, ended: true, bodyBytes: 4 });
  });

  test('whose transfer coding isn’t chunked at the end: it ends with the connection', async () => {
    const coded = `${ok}Transfer-Encoding: gzip\r\n\r\nsome`;
    expect(await take(coded, { end: true })).toMatchObject({ answered: 1, ended: true, bodyBytes: 4 });
  });

  test('after others of 1xx', async () => {
    const early = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';
    const go = 'HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n';
    expect(await take(go + early + hello + go + hello, { methods: 'GG' })).toMatchObject({
      rc: '',
      answered: 2,
      statuses: [200, 200],
    });
  });

  test('101, after which the connection is something else’s', async () => {
    const switched = 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\x81\x05hello';
    expect(await take(switched)).toMatchObject({ rc: 'ESHUTDOWN', answered: 1, statuses: [101] });
  });

  test('among others, pipelined, up to one that says close', async () => {
    const last = hello.replace('OK\r\n', 'OK\r\nConnection: close\r\n');
    const all = await take(`${hello}${chunked}3\r\nabc\r\n0\r\n\r\n${hello}${last}`, { methods: 'GGGGGG' });
    expect(all).toMatchObject({ rc: 'ESHUTDOWN', answered: 4, unanswered: 2, bodyBytes: 18 });
  });

  test('with empty lines before it', async () => {
    expect(await take(`\r\n\r\n${hello}\r\n${hello}`, { methods: 'GG' })).toMatchObject({ answered: 2 });
  });
});

describe('what is no answer, cut anywhere', () => {
  test.for([
    ['nonsense', 'what?\r\n\r\n'],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['a status that is no number', 'HTTP/1.1 2x0 OK\r\n\r\n'],
    ['a length that is no number', `${ok}Content-Length: five\r\n\r\n`],
    ['two lengths', `${ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
    ['a length beyond all bounds', `${ok}Content-Length: 99999999999999999999999\r\n\r\n`],
    ['a chunk’s length that is no number', `${chunked}zz\r\n`],
    ['a chunk’s length beyond all bounds', `${chunked}fffffffffffffffffff\r\n`],
    ['a status below 100', 'HTTP/1.1 042 What\r\nContent-Length: 0\r\n\r\n'],
    ['a status above 599', 'HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n'],
    ['a request', 'GET / HTTP/1.1\r\n\r\n'],
    ['zeros', '\0'.repeat(100)],
  ] as const)('%s', async ([, bytes]) => {
    const result = await take(bytes);
    expect(result).toMatchObject({ rc: 'EPROTO', answered: 0, unanswered: 1 });
    expect(result.complaint).toMatch(/^not an answer of HTTP: \S/);
  });

  test('an answer that nobody asked for', async () => {
    expect(await take(hello + hello)).toMatchObject({
      rc: 'EPROTO',
      answered: 1,
      complaint: 'not an answer of HTTP: an answer that nobody asked for',
    });
  });

  test('1xx without end', async () => {
    const result = await take('HTTP/1.1 100 Continue\r\n\r\n'.repeat(70));
    expect(result).toMatchObject({ rc: 'EPROTO', answered: 0 });
    expect(result.complaint).toContain('more than 64 answers of 1xx');
  });

  test('a head without end', async () => {
    const result = await take(ok + 'X-More: and more\r\n'.repeat(10_000));
    expect(result).toMatchObject({ rc: 'EPROTO', answered: 0 });
    expect(result.complaint).toContain('a head over 64 KiB');
  });

  test('but a head of 60 KB is one', async () => {
    const head = ok + 'X-More: and more\r\n'.repeat(3300);
    expect(await take(`${head}Content-Length: 5\r\n\r\nhello`)).toMatchObject({ rc: '', answered: 1 });
  });
});

describe('the end of a connection', () => {
  test.for([
    ['before anything', ''],
    ['in a head', ok],
    ['in a body with a length', hello.slice(0, -1)],
    ['in a chunk', `${chunked}5\r\nhel`],
    ['before the last chunk', `${chunked}5\r\nhello\r\n`],
    ['after 1xx', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ] as const)('%s is none of an answer', async ([, bytes]) => {
    expect(await take(bytes, { end: true })).toMatchObject({ ended: false, answered: 0, unanswered: 1 });
  });

  test('with answers outstanding is none in order', async () => {
    expect(await take(hello, { methods: 'GG', end: true })).toMatchObject({ ended: false, unanswered: 1 });
  });
});

describe('what an answer must be', () => {
  const crc = crc32('hello');

  test('all of it right, with a length and in chunks', async () => {
    const must = { methods: 'GG', status: 200, length: 5, crc };
    const inChunks = `${chunked}2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n`;
    expect(await take(hello + inChunks, must)).toMatchObject({ verified: 2, verification: 0, complaint: '' });
  });

  test.for([
    ['status', { status: 206 }, 'GET /: status 200'],
    ['length', { length: 6 }, 'GET /: length of the body 5'],
    ['checksum', { crc: crc ^ 1 }, `GET /: CRC-32 of the body ${crc}`],
  ] as const)('another %s', async ([, must, complaint]) => {
    expect(await take(hello, must)).toMatchObject({ verified: 0, verification: 1, answered: 1, complaint });
  });

  test('nothing of a body that HEAD doesn’t bring', async () => {
    const head = `${ok}Content-Length: 5\r\n\r\n`;
    expect(await take(head, { methods: 'H', status: 200, length: 5, crc })).toMatchObject({ verified: 1 });
  });

  test('below 400, where nothing is said; then it is the server’s error', async () => {
    const answers = [302, 404, 503].map((status) => `HTTP/1.1 ${status} x\r\nContent-Length: 0\r\n\r\n`);
    expect(await take(answers.join(''), { methods: 'GGG' })).toMatchObject({
      answered: 3,
      server: 2,
      verification: 0,
      complaint: 'GET /: status 503',
    });
  });
});
