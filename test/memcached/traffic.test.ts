import { execa } from 'execa';
import memjs from 'memjs';
import { describe, expect, test } from 'vitest';
import { askUdp, countValues, fill, pattern, setAndGet } from './exchanges.js';
import { describeEngines, megapipe, start } from './server.js';

const techniques = [
  { name: 'all techniques', options: [] },
  { name: 'no technique', options: ['no_megapipe_lwsocket', 'no_megapipe_partition', 'megapipe_batch=1'] },
];

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
