import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { baseline, whole } from '../../src/bench/application/variant.js';
import { readCounts } from '../../src/bench/guest/counts.js';
import { measureAnswers } from '../../src/bench/guest/http-answers.js';
import { guestOrders, makeGuestPlan } from '../../src/bench/guest/plan.js';
import { functionAt, profileOf, readSymbols } from '../../src/bench/guest/profile.js';
import { appendGuestRecord, type GuestRecord, readGuestResults } from '../../src/bench/guest/record.js';
import { memcachedPrefill, memcachedRequests } from '../../src/bench/guest/script.js';
import { formatGuest, guestCells } from '../../src/bench/guest/table.js';
import { describeMachine } from '../../src/host/machine.js';
import { megapipe } from '../megapipe.js';

const scratch = mkdtempSync(join(tmpdir(), 'megapipe-test-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const choices = {
  preset: 'quick',
  subject: 'echo',
  variants: undefined,
  points: undefined,
  samples: undefined,
} as const;

test('the baseline is always measured, and the kernel’s techniques one by one', () => {
  expect(makeGuestPlan(choices).variants.map(({ id }) => id)).toEqual([
    'baseline',
    'uring+PBL',
    'kernel+P',
    'kernel+PB',
    'kernel+PBL',
  ]);
  const { variants } = makeGuestPlan({ ...choices, variants: [whole('epoll')] });
  expect(variants.map(({ id }) => id)).toEqual(['baseline', 'epoll+PBL']);
});

test('a round has every variant at every point, and rounds come one after another', () => {
  const plan = makeGuestPlan({
    ...choices,
    variants: [whole('uring')],
    points: [1, 'unlimited'],
    samples: 2,
  });
  const orders = guestOrders(plan);
  expect(orders.map(({ round }) => round)).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  for (const round of [0, 1]) {
    const own = orders.filter((order) => order.round === round);
    expect(new Set(own.map((one) => `${one.variant.id} ${one.requestsPerConnection}`)).size).toBe(4);
  }
});

test.each([
  [['bench', 'guest', 'postfix'], 'postfix'],
  [['bench', 'guest', '--variants', 'reuseport'], 'reuseport'],
  [['bench', 'guest', '--kernel', '2.6'], '2.6'],
  [['bench', 'guest', 'memcached', '--version', '1.2'], 'no version 1.2'],
  [['bench', 'guest', '--version', '1.4.13'], 'has no versions'],
  [['bench', 'guest', '--requests-per-connection', '0'], '"0"'],
  [['bench', 'guest', '--samples', 'many'], 'many'],
  [['bench', 'guest', '--no-setup', '--out', '/dev/null'], '/dev/null'],
])('%j is refused by name, with status 2', async (args, named) => {
  const { stderr, exitCode } = await megapipe(args);
  expect(stderr).toContain(named);
  expect(exitCode).toBe(2);
});

const task = { task: 'ffff', marking: false, user: 0, kernel: 0, repeats: 0, calls: 0 };

test('tasks are sorted into the client, the kernel’s threads and the server', () => {
  const file = join(scratch, 'counts');
  const tasks = [
    { ...task, marking: true, user: 1, kernel: 2, repeats: 3, calls: 4 },
    { ...task, user: 10, kernel: 20, repeats: 30, calls: 40 },
    { ...task, kernel: 100 },
  ];
  const line = JSON.stringify({ overflown: false, tasks });
  writeFileSync(file, `${line}\n${line.slice(0, 20)}`);
  expect(readCounts(file)).toEqual([
    {
      tasks: {
        client: { user: 1, kernel: 2, repeats: 3, systemCalls: 4 },
        server: { user: 10, kernel: 20, repeats: 30, systemCalls: 40 },
        kernelThreads: { user: 0, kernel: 100, repeats: 0, systemCalls: 0 },
      },
      blocks: [],
    },
  ]);
});

const none = { user: 0, kernel: 0, repeats: 0, systemCalls: 0 };

function counted(variant: typeof baseline, kernel: number, round: number): GuestRecord {
  const server = { user: 1000, kernel, repeats: 7, systemCalls: 50 };
  return {
    type: 'counted',
    variant,
    requestsPerConnection: 10,
    round,
    transactions: 100,
    connections: 10,
    ns: 5,
    tasks: { client: { ...none, user: 1000 }, server, kernelThreads: none },
  };
}

async function writeResults(file: string, records: GuestRecord[]): Promise<void> {
  const machine = await describeMachine();
  appendGuestRecord(file, {
    type: 'guest',
    format: 1,
    startedAt: new Date().toISOString(),
    subject: 'echo',
    parameters: {},
    host: machine,
    guest: { ...machine, kernel: '6.12-test' },
    emulator: { version: 'none', options: [] },
    plan: { samples: 2, transactions: 100, warmup: 0, connections: 1 },
  });
  for (const record of records) appendGuestRecord(file, record);
}

test('ratios are to the baseline of the same round', async () => {
  const file = join(scratch, 'ratios.ndjson');
  const rival = whole('kernel');
  await writeResults(file, [
    counted(baseline, 9000, 0),
    counted(rival, 4000, 0),
    counted(rival, 9000, 1),
    counted(baseline, 19_000, 1),
    { type: 'failed', variant: whole('uring'), requestsPerConnection: 10, round: 0, reason: 'it is broken' },
  ]);
  const [results] = readGuestResults(file);
  if (!results) throw new Error('no results');
  const [first, second] = guestCells(results);
  expect(first).toMatchObject({
    variant: { id: 'baseline' },
    outside: { median: 150 },
    ratio: { median: 1 },
  });
  expect(second).toMatchObject({
    variant: { id: 'kernel+PBL' },
    outside: { median: 75 },
    ratio: { low: 0.5, high: 0.5 },
    crossings: { median: 0.5 },
  });
  const words = formatGuest(results);
  expect(words).toContain('6.12-test');
  expect(words).toContain('×0.50');
  expect(words).toContain('uring+PBL failed: it is broken');
  expect(words).toContain('not all samples were taken');
});

test('megapipe report prints what was counted, and has no page of it', async () => {
  const file = join(scratch, 'report.ndjson');
  await writeResults(file, [counted(baseline, 9000, 0)]);
  const { stdout, exitCode } = await megapipe(['report', file]);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('echo on Linux 6.12-test');
  const refused = await megapipe(['report', file, '--csv']);
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain('--csv');
});

test('an address is in the function that begins last before it', () => {
  const symbols = readSymbols(
    'ffffffff81000000 T first\nffffffffc0000000 t second\t[megapipe]\n0000 D data\n',
  );
  expect(functionAt(symbols, 0xffffffff80ffffffn)).toBeUndefined();
  expect(functionAt(symbols, 0xffffffff81000000n)).toBe('first');
  expect(functionAt(symbols, 0xffffffffc0000010n)).toBe('second [megapipe]');
});

test('a profile sums up what others than the client executed', () => {
  const kernel = readSymbols('ffffffff81000000 T first\nffffffff81000100 T second\n');
  const symbols = readSymbols('0000000000001000 T main\n');
  const server = { symbols, from: 0x10000000n, to: 0x20000000n };
  const order = { variant: baseline, requestsPerConnection: 1, round: 0 };
  const { functions } = profileOf(
    order,
    [
      ['ffffffff81000000', 5, 10],
      ['ffffffff81000008', 0, 1],
      ['ffffffff81000100', 5, 0],
      ['10001004', 0, 100],
      ['7f0000000000', 0, 1000],
    ],
    kernel,
    server,
  );
  expect(Object.fromEntries(functions)).toEqual({ first: 11, 'main (server)': 100, 'user mode': 1000 });
});

test('memcached is asked for what was stored', () => {
  const stored = new Set(memcachedPrefill().map(({ bytes }) => bytes.split(' ')[1]));
  const requests = memcachedRequests();
  const gets = requests.filter(({ bytes }) => bytes.startsWith('get '));
  expect(gets.length / requests.length).toBeCloseTo(0.9);
  for (const { bytes } of gets) expect(stored).toContain(bytes.slice(4, -2));
});

test('answers of HTTP are measured with their heads', async () => {
  const server = createServer((request, response) => {
    response.writeHead(200, { 'Content-Length': 5 * (request.url?.length ?? 0) });
    response.end('x'.repeat(5 * (request.url?.length ?? 0)));
  }).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const [short, long] = await measureAnswers(port, ['/a', '/abcdefghi']);
    expect(short?.bytes).toMatch(/^GET \/a HTTP\/1.1\r\n/);
    expect((long?.answer ?? 0) - (short?.answer ?? 0)).toBe(50 - 10);
  } finally {
    server.close();
  }
});
