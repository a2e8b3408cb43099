import { expect } from 'vitest';
import type { Connection } from './connection.js';
import type { Server } from './server.js';

const connections = 8;
const requestsAtOnce = 50;

/** The value of a key tells the key, so that one in the place of another shows. */
const valueFor = (key: string, length: number) =>
  `${key}:`.repeat(Math.ceil(length / key.length)).slice(0, length);

/** So many keys that they never all have room, and so few that threads meet at them. */
const randomKey = () => `key${Math.floor(Math.random() * 20_000)}`;

function randomRequest(): { request: string; answer: RegExp } {
  const key = randomKey();
  const dice = Math.random();
  if (dice < 0.4) return { request: `get ${key}\r\n`, answer: new RegExp(`^(VALUE ${key} |END)`) };
  if (dice < 0.85) {
    const length = 50 + Math.floor(Math.random() * 3000);
    return { request: `set ${key} 0 0 ${length}\r\n${valueFor(key, length)}\r\n`, answer: /^STORED/ };
  }
  if (dice < 0.9) return { request: `append ${key} 0 0 1\r\n:\r\n`, answer: /^(NOT_)?STORED/ };
  return { request: `delete ${key}\r\n`, answer: /^(DELETED|NOT_FOUND)/ };
}

/**
 * So many requests of all kinds at random, from several connections at a time; every answer is looked at. At half of them
 * all is flushed.
 */
export async function stress(server: Server, requests: number): Promise<void> {
  const progress = { left: requests };
  const clients = Array.from({ length: connections }, async () => {
    const connection = await server.connect();
    for (; progress.left > 0; progress.left -= requestsAtOnce) await askAtOnce(connection);
    connection.destroy();
  });
  await Promise.all([...clients, lookOn(server, progress)]);
}

async function askAtOnce(connection: Connection) {
  const asked = Array.from({ length: requestsAtOnce }, randomRequest);
  connection.write(asked.map(({ request }) => request).join(''));
  for (const { answer } of asked) {
    const line = await connection.until('\r\n');
    expect(line).toMatch(answer);
    if (line.startsWith('VALUE')) checkValue(line, await connection.until('\r\nEND\r\n'));
  }
}

/** What goes through whole lists meanwhile. */
async function lookOn(server: Server, progress: { left: number }) {
  const connection = await server.connect();
  const words = ['stats items', 'stats sizes', 'stats cachedump 10 0'];
  const half = progress.left / 2;
  for (let flushed = false; progress.left > 0 || !flushed; ) {
    for (const line of words) await connection.ask(line, 'END\r\n');
    if (!flushed && progress.left < half) {
      expect(await connection.ask('flush_all')).toBe('OK\r\n');
      flushed = true;
    }
  }
  connection.destroy();
}

function checkValue(line: string, rest: string) {
  const [, key, , length] = line.trim().split(' ') as [string, string, string, string];
  const value = rest.slice(0, Number(length));
  expect(rest).toHaveLength(Number(length) + '\r\nEND\r\n'.length);
  // What was appended is at the end of it.
  const stored = value.replace(/:+$/, '');
  expect(valueFor(key, value.length).startsWith(stored)).toBe(true);
}

/** Each list as long as is counted, and all of them as many items as there are; none is left after a flush. */
export async function checkLists(server: Server): Promise<void> {
  const items = await server.stats('items');
  const lengths = Object.entries(items).filter(([name]) => name.endsWith(':number'));
  const total = lengths.reduce((sum, [, number]) => sum + Number(number), 0);
  const sizes = Object.values(await server.stats('sizes')).reduce((sum, number) => sum + Number(number), 0);
  const { curr_items } = await server.stats();
  expect({ total, sizes }).toEqual({ total: Number(curr_items), sizes: Number(curr_items) });
  const connection = await server.connect();
  for (let i = 0; i < 20_000; i += 1) connection.write(`delete key${i} noreply\r\n`);
  expect(await connection.ask('version')).toMatch(/^VERSION/);
  connection.destroy();
  expect(await server.stats()).toMatchObject({ curr_items: '0' });
}
