import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectPlain, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { isOneEngine } from '../engines.js';
import { type Certificate, makeCertificate } from '../nginx/certificate.js';
import { until } from '../waiting.js';
import { countValues, dumpAndSet, fill, setAndGet } from './exchanges.js';
import { describeEngines, megapipe, type Server, start } from './server.js';

let folder: string;
let certificate: Certificate;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'megapipe-tls-'));
  certificate = await makeCertificate(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Form = { variant: 'baseline' | 'megapipe'; sanitize: boolean; on: string[] };

const stock: Form = { variant: 'baseline', sanitize: false, on: [] };

function startTls({ variant, sanitize, on }: Form, ...args: string[]) {
  return start({ variant, sanitize, tls: certificate, args: [...on, '-m', '256', '-I', '8m', ...args] });
}

const handshakeErrors = async (server: Server) => Number((await server.stats()).ssl_handshake_errors);
/** But for the one that asks. */
const others = async (server: Server) => Number((await server.stats()).curr_connections) - 1;

/** What a server sends to a client, as it goes over the wire. */
async function listenIn(server: Server) {
  const sent: Buffer[] = [];
  const sockets: Socket[] = [];
  const relay = createServer((client) => {
    const upstream = connectPlain(server.port, '127.0.0.1');
    sockets.push(client, upstream);
    upstream.on('data', (data) => sent.push(data)).on('error', () => {});
    client.on('error', () => {});
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  const { port } = relay.address() as { port: number };
  return { port, types: () => recordTypes(Buffer.concat(sent)) };
}

/** The content types of TLS records; a record that is cut short is told as such. */
function recordTypes(data: Buffer): string[] {
  const names: Record<number, string> = { 20: 'cipher', 21: 'alert', 22: 'handshake', 23: 'data' };
  const types: string[] = [];
  for (let at = 0; at < data.length; ) {
    const end = at + 5 + (at + 5 <= data.length ? data.readUInt16BE(at + 3) : 0);
    types.push(end > data.length ? 'cut' : (names[data[at] as number] ?? 'unknown'));
    at = end;
  }
  return types;
}

/** The whole life of a connection whose content types can be seen (those of TLS 1.3 are hidden), as records. */
async function recordsOf(form: Form, end: (server: Server, ask: (line: string) => void) => void) {
  const server = await startTls(form);
  const { port, types } = await listenIn(server);
  const version = { maxVersion: 'TLSv1.2', host: '127.0.0.1', port } as const;
  const connection = await server.connect(version);
  await connection.ask('version');
  end(server, connection.write);
  await connection.rest();
  return types();
}

/** A client’s first bytes, and then it is gone. */
async function leaveAfter(server: Server, bytes: Buffer, how: 'end' | 'reset') {
  const socket = connectPlain(server.port, '127.0.0.1');
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  if (how === 'reset') socket.resetAndDestroy();
  else socket.end();
  socket.resume();
  await closed;
}

/** Of a handshake of 512 bytes. */
const halfAHello = Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), Buffer.alloc(100)]);

describeEngines((engine, sanitize) => {
  const form: Form = { variant: 'megapipe', sanitize, on: megapipe(engine) };

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`${maxVersion}: values of every length come back as they went`, async () => {
      const server = await startTls(form);
      const secure: Server = { ...server, connect: () => server.connect({ maxVersion }) };
      for (const length of [0, 1, 4096, 16_383, 16_384, 16_385, 65_536, 1 << 20, 8_000_000])
        await setAndGet(secure, length);
    });
  }

  for (const size of [1, 256]) {
    test(`ssl_wbuf_size=${size}, and 10,000 keys`, async () => {
      const server = await startTls(form, '-o', `ssl_wbuf_size=${size}`);
      await fill(server, 10_000, 100);
      const keys = Array.from({ length: 10_000 }, (_, i) => `key${i}`);
      expect(await countValues(server, `get ${keys.join(' ')}\r\n`, false)).toBe(10_000);
      expect(await countValues(server, keys.map((key) => `get ${key}\r\n`).join(''), false)).toBe(10_000);
      await setAndGet(server, 1_000_000);
    });
  }

  test('a client that does not read holds up itself alone', async () => {
    const server = await startTls(form);
    await fill(server, 100, 100_000);
    const slow = countValues(server, 'get key0 key1 key2\r\n'.repeat(100), true);
    await setAndGet(server, 1000);
    expect(await slow).toBe(300);
  });

  test('commands whose connection a side thread gets', async () => {
    // Without what moves items meanwhile, behind the crawler's back.
    const server = await startTls(form, '-o', 'no_lru_maintainer,no_slab_reassign');
    await fill(server, 1000, 100);
    const watcher = await server.connect();
    expect(await watcher.ask('watch mutations')).toBe('OK\r\n');
    for (let turn = 0; turn < 3; turn += 1) {
      // Also with something behind, which was received ahead of its turn.
      const dumper = await server.connect();
      dumper.write('lru_crawler metadump all\r\nget key1\r\n');
      const dump = await dumper.until('END\r\n');
      expect(dump.match(/^key=key\d+ /gm)).toHaveLength(1000);
      expect(await dumper.until('END\r\n')).toMatch(/^VALUE key1 /);
      expect(await dumper.ask('get key2', 'END\r\n')).toMatch(/^VALUE key2 /);
      dumper.destroy();
    }
    await setAndGet(server, 10);
    expect(await watcher.until('key=big')).toMatch(/type=item_store/);
    watcher.destroy();
    // A watcher that is gone is noticed when there is something for it.
    await until('no connection is left', async () => {
      await setAndGet(server, 10);
      return (await others(server)) === 0;
    });
  });

  test('much that follows metadump is answered after it', async () => {
    const server = await startTls(form);
    for (const length of [20_000, 100_000]) {
      for (const recordSize of [512, 16_384])
        expect(await dumpAndSet(server, length, recordSize)).toBe('STORED\r\nMN\r\n');
    }
  });

  test('clients that leave in a handshake leave nothing behind', async () => {
    const server = await startTls(form);
    for (const how of ['end', 'reset'] as const) {
      for (const bytes of [Buffer.alloc(0), halfAHello.subarray(0, 3), halfAHello])
        await leaveAfter(server, bytes, how);
    }
    await until('no connection is left', async () => (await others(server)) === 0);
    await setAndGet(server, 1000);
  });

  test('who speaks no TLS is closed, and counted', async () => {
    const server = await startTls(form);
    const socket = connectPlain(server.port, '127.0.0.1', () => socket.write('get a\r\n'));
    const answer: Buffer[] = [];
    socket.on('data', (data) => answer.push(data)).on('error', () => {});
    await new Promise((resolve) => socket.once('close', resolve));
    expect(answer).toEqual([]);
    expect(await handshakeErrors(server)).toBe(1);
  });

  test('a client that is too old is refused, and counted', async () => {
    const server = await startTls(form, '-o', 'ssl_min_version=3');
    await expect(server.connect({ maxVersion: 'TLSv1.2' })).rejects.toThrow(/alert protocol version/);
    expect(await handshakeErrors(server)).toBe(1);
  });

  test('a client may change its keys, and has the server change its own', async () => {
    const server = await startTls(form);
    const client = execa('openssl', ['s_client', '-tls1_3', '-connect', server.address], {
      all: true,
      reject: false,
    });
    let output = '';
    client.all.on('data', (data) => {
      output += data;
    });
    await until('it has connected', () => /Verify return code/.test(output));
    for (let turn = 1; turn <= 5; turn += 1) {
      client.stdin.write('K\n');
      await until('it has changed its keys', () => output.match(/^KEYUPDATE/gm)?.length === turn);
      client.stdin.write('version\n');
      await until('it is answered', () => output.match(/^VERSION/gm)?.length === turn);
    }
    client.stdin.end();
    await client;
  });

  test('sessions are taken up again', async () => {
    const server = await startTls(form, '-o', 'ssl_session_cache');
    const args = ['s_client', '-tls1_2', '-reconnect', '-connect', server.address];
    const { stdout } = await execa('openssl', args, { input: '', reject: false, timeout: 60_000 });
    expect(stdout.match(/^Reused, TLSv1.2/gm)).toHaveLength(5);
    expect((await server.stats()).ssl_new_sessions).toMatch(/^[1-9]/);
  });

  // Stock 1.6.38 and 1.6.45 die of it: they end the TLS of their listeners, which have none.
  test('a server that stops gracefully ends in order', async () => {
    const server = await startTls(form);
    expect((await server.end('SIGUSR1')).exitCode).toBe(0);
  });

  // Which isn't built in a guest.
  if (isOneEngine) return;
  describe('as on stock', () => {
    test('close_notify comes after quit', async () => {
      const [own, its] = [form, stock].map((one) => recordsOf(one, (_, write) => write('quit\r\n')));
      expect(await own).toEqual(await its);
      expect((await own)?.at(-1)).toBe('alert');
    });

    test('close_notify comes when the server stops gracefully', async () => {
      const stop = (server: Server) => void server.end('SIGUSR1');
      const [own, its] = [form, stock].map((one) => recordsOf(one, stop));
      expect(await own).toEqual(await its);
      expect((await own)?.at(-1)).toBe('alert');
    });
  });
});
