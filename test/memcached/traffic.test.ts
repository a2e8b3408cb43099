import { createSocket } from 'node:dgram';
import { execa } from 'execa';
import memjs from 'memjs';
import { describe, expect, test } from 'vitest';
import { describeEngines, megapipe, type Server, start } from './server.js';

const techniques = [
  { name: 'all techniques', options: [] },
  { name: 'no technique', options: ['no_megapipe_lwsocket', 'no_megapipe_partition', 'megapipe_batch=1'] },
];

/** A value that shows when bytes are lost, doubled or swapped. */
function pattern(length: number, seed: number): Buffer {
  const value = Buffer.alloc(length);
  for (let i = 0; i < length; i += 1) value[i] = (i * 31 + (i >> 8) * 7 + seed) & 0xff;
  return value;
}

async function setAndGet(server: Server, length: number) {
  const connection = await server.connect();
  const value = pattern(length, length % 251);
  connection.write(`set big 0 0 ${length}\r\n`);
  connection.write(value);
  connection.write('\r\n');
  expect(await connection.until('\r\n')).toBe('STORED\r\n');
  expect(await connection.ask('get big')).toBe(`VALUE big 0 ${length}\r\n`);
  expect((await connection.bytes(length)).equals(value)).toBe(true);
  expect(await connection.until('END\r\n')).toBe('\r\nEND\r\n');
  connection.destroy();
}

async function fill(server: Server, count: number, length: number) {
  const connection = await server.connect();
  for (let i = 0; i < count; i += 1)
    connection.write(`set key${i} 0 0 ${length} noreply\r\n${'v'.repeat(length)}\r\n`);
  await connection.ask('mn', 'MN\r\n');
  connection.destroy();
}

/** How many answers there are in what a server sends, however it is cut. */
async function countValues(server: Server, request: string, isPaused: boolean): Promise<number> {
  const connection = await server.connect();
  if (isPaused) connection.socket.pause();
  connection.write(request);
  connection.write('mn\r\n');
  if (isPaused) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    connection.socket.resume();
  }
  const answer = await connection.until('MN\r\n');
  connection.destroy();
  return answer.match(/^VALUE /gm)?.length ?? 0;
}

function askUdp(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const parts = new Map<number, string>();
    socket.on('error', reject);
    socket.on('message', (message) => {
      expect(message.readUInt16BE(0)).toBe(4711);
      parts.set(message.readUInt16BE(2), message.toString('latin1', 8));
      if (parts.size < message.readUInt16BE(4)) return;
      socket.close();
      resolve(
        [...parts]
          .sort(([a], [b]) => a - b)
          .map(([, text]) => text)
          .join(''),
      );
    });
    const header = Buffer.from([4711 >> 8, 4711 & 0xff, 0, 0, 0, 1, 0, 0]);
    socket.send(Buffer.concat([header, Buffer.from(request)]), port, '127.0.0.1');
  });
}

describeEngines((engine, sanitize) => {
  for (const { name, options } of techniques) {
    const on = megapipe(engine, ...options);

    describe(name, () => {
      test('values of every length come back as they went', async () => {
        const server = await start({ sanitize, args: [...on, '-m', '256', '-I', '8m'] });
        for (const length of [
          0,
          1,
          100,
          1024,
          4095,
          4096,
          4097,
          16_383,
          16_384,
          65_536,
          1_048_000,
          1 << 20,
          8_000_000,
        ]) {
          await setAndGet(server, length);
        }
      });

      test('10,000 keys in one multiget', async () => {
        const server = await start({ sanitize, args: [...on, '-m', '256'] });
        await fill(server, 10_000, 100);
        const keys = Array.from({ length: 10_000 }, (_, i) => `key${i}`).join(' ');
        expect(await countValues(server, `get ${keys}\r\n`, false)).toBe(10_000);
      });

      test('10,000 gets in one go', async () => {
        const server = await start({ sanitize, args: [...on, '-m', '256'] });
        await fill(server, 10_000, 100);
        const request = Array.from({ length: 10_000 }, (_, i) => `get key${i}\r\n`).join('');
        expect(await countValues(server, request, false)).toBe(10_000);
      });

      test('a client that does not read holds up itself alone', async () => {
        const server = await start({ sanitize, args: [...on, '-m', '256'] });
        await fill(server, 100, 100_000);
        const slow = countValues(server, 'get key0 key1 key2\r\n'.repeat(100), true);
        await setAndGet(server, 1000);
        expect(await slow).toBe(300);
      });

      test('memjs gets what it has set', async () => {
        const server = await start({ sanitize, args: on });
        const client = memjs.Client.create(server.address, { timeout: 120, conntimeout: 120 });
        const value = pattern(50_000, 3);
        await client.set('memjs', value, {});
        expect((await client.get('memjs')).value?.equals(value)).toBe(true);
        await client.delete('memjs');
        expect((await client.get('memjs')).value).toBeNull();
        client.close();
      });

      test('memccapable finds nothing wrong', async () => {
        const server = await start({ sanitize, args: on });
        const { exitCode, all } = await execa(
          'memccapable',
          ['-h', '127.0.0.1', '-p', String(server.port), '-t', '120'],
          { all: true, reject: false, timeout: 300_000 },
        );
        expect(all).not.toMatch(/\[FAIL\]/);
        expect(exitCode).toBe(0);
      });

      test('UDP', async () => {
        const server = await start({ sanitize, args: on, udp: true });
        await setAndGet(server, 10_000);
        expect(await askUdp(server.udpPort, 'version\r\n')).toMatch(/^VERSION /);
        expect(await askUdp(server.udpPort, 'get big\r\n')).toHaveLength(
          'VALUE big 0 10000\r\n\r\nEND\r\n'.length + 10_000,
        );
      });

      test('UNIX sockets', async () => {
        const server = await start({ sanitize, args: on, unix: true });
        await setAndGet(server, 100_000);
        if (sanitize) return; // upstream's conn_to_str() reads a UNIX address beyond its own buffer
        const connections = await server.stats('conns');
        expect(Object.values(connections)).toContain(`unix:${server.socketFile}`);
      });
    });
  }
});
