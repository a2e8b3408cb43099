import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isOneEngine } from '../engines.js';
import type { Connection } from './connection.js';
import { fill } from './exchanges.js';
import { describeEngines, megapipe, type Server, start } from './server.js';

/** Send something on each of many connections, so that a server finds all of it at once. */
async function askAtOnce(server: Server, requests: string[]): Promise<Connection[]> {
  const connections: Connection[] = [];
  for (const _ of requests) connections.push(await server.connect());
  for (const connection of connections) await connection.ask('version');
  server.process.kill('SIGSTOP');
  // Each is written when the kernel has taken all of it.
  await Promise.all(
    connections.map(
      ({ socket }, i) => new Promise<void>((resolve) => socket.write(requests[i] as string, () => resolve())),
    ),
  );
  server.process.kill('SIGCONT');
  return connections;
}

/** The most that it has ever held, in KiB. */
function peakOf({ process: { pid } }: Server): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

const keys = 2000;

/** What memory 300 connections cost of which each asks for many keys, all at once. */
async function costOfMultigets(args: string[], variant: 'baseline' | 'megapipe' = 'megapipe') {
  const server = await start({ variant, args: ['-m', '256', '-t', '4', ...args] });
  await fill(server, keys, 10);
  const before = peakOf(server);
  const request = `get ${Array.from({ length: keys }, (_, i) => `key${i}`).join(' ')}\r\nversion\r\n`;
  const connections = await askAtOnce(server, Array(300).fill(request));
  const answers = await Promise.all(connections.map((connection) => connection.until('VERSION')));
  for (const answer of answers) expect(answer.match(/^VALUE /gm)).toHaveLength(keys);
  return peakOf(server) - before;
}

/** How many of many values sent at once a server stores, which don't have room together. */
async function storedOf({ count, length }: { count: number; length: number }, server: Server) {
  const value = 'x'.repeat(length);
  const requests = Array.from({ length: count }, (_, i) => `set big${i} 0 0 ${length}\r\n${value}\r\n`);
  const connections = await askAtOnce(server, requests);
  const answers = await Promise.all(connections.map((connection) => connection.until('\r\n')));
  return answers.filter((answer) => answer === 'STORED\r\n').length;
}

const values = [
  { what: 'in one piece', count: 200, length: 90_000, args: ['-m', '8', '-t', '2'] },
  { what: 'in chunks', count: 60, length: 1_200_000, args: ['-m', '32', '-I', '2m', '-t', '2'] },
];

describe.skipIf(isOneEngine)('beside the stock server', () => {
  describeEngines((engine, sanitize) => {
    // Sanitizers hold memory back.
    if (!sanitize) {
      test('many multigets at once take no more than twice its memory', async () => {
        const stock = await costOfMultigets(['-o', 'pin_threads'], 'baseline');
        expect(await costOfMultigets(megapipe(engine))).toBeLessThanOrEqual(2 * stock);
      });
    }

    test('many multigets at once are all answered within read_buf_mem_limit', async () => {
      await costOfMultigets(['-o', 'pin_threads,read_buf_mem_limit=64'], 'baseline');
      await costOfMultigets(megapipe(engine, 'read_buf_mem_limit=64'));
    });

    for (const { what, args, ...sets } of values) {
      test(`as many values ${what} are stored, sent at once, when memory is short`, async () => {
        const stock = await storedOf(sets, await start({ variant: 'baseline', args }));
        const ours = await storedOf(sets, await start({ sanitize, args: [...megapipe(engine), ...args] }));
        expect(ours).toBeGreaterThanOrEqual(stock);
      });
    }
  });
});
