import { createSocket } from 'node:dgram';
import type { TLSSocket } from 'node:tls';
import { expect } from 'vitest';
import type { Server } from './server.js';

/** A value that shows when bytes are lost, doubled or swapped. */
export function pattern(length: number, seed: number): Buffer {
  const value = Buffer.alloc(length);
  for (let i = 0; i < length; i += 1) value[i] = (i * 31 + (i >> 8) * 7 + seed) & 0xff;
  return value;
}

export async function setAndGet(server: Server, length: number) {
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

/**
 * A dump with a value behind it in one go, and what is answered to the value.
 *
 * @param recordSize of TLS
 */
export async function dumpAndSet(server: Server, length: number, recordSize?: number): Promise<string> {
  const connection = await server.connect();
  if (recordSize) (connection.socket as TLSSocket).setMaxSendFragment(recordSize);
  await connection.ask('set one 0 0 3\r\nabc');
  const value = pattern(length, 7);
  const before = Buffer.from(`lru_crawler metadump all\r\nset big 0 0 ${length}\r\n`);
  connection.write(Buffer.concat([before, value, Buffer.from('\r\nmn\r\n')]));
  const dump = await connection.until('\r\n');
  const answer = await connection.until('MN\r\n');
  if (answer.startsWith('STORED')) {
    expect(await connection.ask('get big')).toBe(`VALUE big 0 ${length}\r\n`);
    expect((await connection.bytes(length)).equals(value)).toBe(true);
  }
  connection.destroy();
  // The crawler has not come to its end after the last dump.
  if (dump.startsWith('BUSY')) return dumpAndSet(server, length, recordSize);
  expect(dump).toMatch(/^key=one [\s\S]*END\r\n$/m);
  return answer;
}

export async function fill(server: Server, count: number, length: number) {
  const connection = await server.connect();
  for (let i = 0; i < count; i += 1)
    connection.write(`set key${i} 0 0 ${length} noreply\r\n${'v'.repeat(length)}\r\n`);
  await connection.ask('version');
  connection.destroy();
}

/** How many answers there are in what a server sends, however it is cut. */
export async function countValues(server: Server, request: string, isPaused: boolean): Promise<number> {
  const connection = await server.connect();
  if (isPaused) connection.socket.pause();
  connection.write(request);
  connection.write('version\r\n');
  if (isPaused) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    connection.socket.resume();
  }
  const answer = await connection.until('VERSION');
  connection.destroy();
  return answer.match(/^VALUE /gm)?.length ?? 0;
}

export function askUdp(port: number, request: string): Promise<string> {
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
