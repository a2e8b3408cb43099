import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadPort } from '../../src/port/port.js';
import { engines } from '../engines.js';
import { testUnless } from '../skip.js';
import { until } from '../waiting.js';
import type { Connection } from './connection.js';
import { askUdp, countValues, fill, setAndGet } from './exchanges.js';
import { build, limit_ms, missing, version } from './old-version.js';
import { megapipe, run, type Server, start } from './server.js';
import { checkLists, stress } from './stress.js';

/* The paper's memcached; its own tests are in old-version-upstream.test.ts. */
if (missing !== undefined) {
  testUnless(missing)(`memcached ${version}: everything`, () => {});
} else {
  beforeAll(() => build(), limit_ms);
  describeBuild();
  describeKinds();
}

function describeBuild() {
  test('one tree gives both variants, with the paper’s number of lines', () => {
    const { buildDirectory } = loadPort('memcached', version);
    const lines = JSON.parse(readFileSync(join(buildDirectory, 'lines.json'), 'utf8'));
    // 9,442 in the paper's Table 2, of which it changed 602.
    expect(lines.application).toBeGreaterThan(9300);
    expect(lines.application).toBeLessThan(9600);
    expect(lines.changed + lines.own).toBeGreaterThan(300);
  });

  test('a server without MegaPipe says so', async () => {
    const { exitCode, stderr } = await run('baseline', ['-o', 'megapipe'], {}, version);
    expect(stderr).toMatch(/not built with MegaPipe support/);
    expect(exitCode).toBeGreaterThan(0);
  });

  test.each([
    ['megapipe,megapipe_engine=iocp', /megapipe_engine must be auto, kernel, uring or epoll/],
    ['megapipe_batch=8', /megapipe_batch needs -o megapipe/],
    ['fine_grained_locks,slab_reassign', /can't be used with slab_reassign/],
    ['slab_automove,fine_grained_locks', /can't be used with slab_reassign or slab_automove/],
    ['fine_grained_locks,hashpower=12', /needs a hashpower of at least 13/],
    ['megapipes', /Illegal suboption|megapipes/],
  ])('-o %s is refused', async (option, message) => {
    const { exitCode, stderr } = await run('megapipe', ['-o', option], {}, version);
    expect(stderr).toMatch(message);
    expect(exitCode).toBeGreaterThan(0);
  });
}

type Kind = { name: string; variant: 'baseline' | 'megapipe'; args: string[] };

function kinds(): Kind[] {
  const working = engines.filter((one) => one.missing === undefined);
  const plain: Kind[] = [
    { name: 'stock', variant: 'baseline', args: ['-o', 'pin_threads'] },
    ...working.map(({ engine }) => ({ name: engine, variant: 'megapipe' as const, args: megapipe(engine) })),
  ];
  const fine = ['-o', 'fine_grained_locks,hashpower=16'];
  return plain.flatMap((kind) => [kind, { ...kind, name: `${kind.name}-FL`, args: [...kind.args, ...fine] }]);
}

function describeKinds() {
  describe.each(kinds())('$name', ({ name, variant, args }) => {
    const begin = (more: string[] = [], options: Parameters<typeof start>[0] = {}) =>
      start({ variant, version, ...options, args: [...args, ...more] });
    describeTraffic(begin);
    describeConnections(begin);
    if (variant === 'megapipe') {
      describeTooMany(begin);
      describeChannels(begin);
    }
    if (name.endsWith('-FL')) describeFineGrained(begin);
  });
}

type Begin = (more?: string[], options?: Parameters<typeof start>[0]) => Promise<Server>;

function describeTraffic(begin: Begin) {
  test('values of every length come back as they went', async () => {
    const server = await begin(['-m', '256', '-I', '8m']);
    for (const length of [0, 1, 1024, 4095, 4097, 16_383, 16_384, 65_536, 1_048_000, 8_000_000])
      await setAndGet(server, length);
  });

  test('a value that is too large is read away, and what follows is answered', async () => {
    const server = await begin();
    const connection = await server.connect();
    connection.write(`set large 0 0 3000000\r\n${'x'.repeat(3_000_000)}\r\nversion\r\n`);
    expect(await connection.until('\r\n')).toBe('SERVER_ERROR object too large for cache\r\n');
    expect(await connection.until('\r\n')).toBe(`VERSION ${version}\r\n`);
  });

  test('10,000 keys in one multiget, and 10,000 gets in one go', async () => {
    const server = await begin(['-m', '256']);
    await fill(server, 10_000, 100);
    const keys = Array.from({ length: 10_000 }, (_, i) => `key${i}`);
    expect(await countValues(server, `get ${keys.join(' ')}\r\n`, false)).toBe(10_000);
    expect(await countValues(server, keys.map((key) => `get ${key}\r\n`).join(''), false)).toBe(10_000);
  });

  test('a client that does not read holds up itself alone', async () => {
    const server = await begin(['-m', '256']);
    await fill(server, 100, 100_000);
    const slow = countValues(server, 'get key0 key1 key2\r\n'.repeat(100), true);
    await setAndGet(server, 1000);
    expect(await slow).toBe(300);
  });

  test('a client that shuts its side gets all its answers', async () => {
    const server = await begin();
    await fill(server, 100, 1000);
    const connection = await server.connect();
    connection.socket.end('get key0 key1\r\n'.repeat(500));
    expect((await connection.rest()).match(/^END/gm)).toHaveLength(500);
  });

  test('memccapable finds as much in ASCII and binary as in the stock server', async () => {
    const server = await begin();
    const command = ['-h', '127.0.0.1', '-p', String(server.port), '-t', '120'];
    const { all } = await execa('memccapable', command, { all: true, reject: false, timeout: 300_000 });
    expect(all).toMatch(/\[pass\]/);
    expect(all).not.toMatch(/\[FAIL\]/);
  });

  test('UDP, and UNIX sockets', async () => {
    const server = await begin([], { udp: true });
    await setAndGet(server, 10_000);
    expect(await askUdp(server.udpPort, 'get big\r\n')).toHaveLength(
      'VALUE big 0 10000\r\n\r\nEND\r\n'.length + 10_000,
    );
    await setAndGet(await begin([], { unix: true }), 100_000);
  });
}

const connectMany = (server: Server, count: number) =>
  Promise.all(Array.from({ length: count }, () => server.connect()));

function describeConnections(begin: Begin) {
  const current = async (server: Server) => Number((await server.stats()).curr_connections);

  test('a connection that is reset at any moment leaves nothing behind', async () => {
    const server = await begin(['-m', '128']);
    const keeper = await server.connect();
    await keeper.ask(`set big 0 0 900000\r\n${'x'.repeat(900_000)}`);
    const before = await current(server);
    const requests = ['get big\r\n'.repeat(20), `set half 0 0 500000\r\n${'y'.repeat(9000)}`, 'ge', ''];
    for (let i = 0; i < 200; i += 1) {
      const connection = await server.connect();
      connection.write(requests[i % 4] as string);
      if (i % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      connection.socket.resetAndDestroy();
    }
    await expect.poll(() => current(server)).toBe(before);
    expect(await keeper.ask('version')).toMatch(/^VERSION/);
  });

  test('noreply commands in great number take turns', async () => {
    const server = await begin(['-R', '1', '-t', '1']);
    const [busy, other] = (await connectMany(server, 2)) as [Connection, Connection];
    busy.write('set one 0 0 1 noreply\r\n1\r\n'.repeat(20_000));
    expect(await other.ask('version')).toMatch(/^VERSION/);
    expect(await busy.ask('version')).toMatch(/^VERSION/);
    expect(Number((await server.stats()).conn_yields)).toBeGreaterThan(1000);
  });
}

function describeChannels(begin: Begin) {
  test('stats megapipe adds up, with every technique', async () => {
    const server = await begin(['-t', '3']);
    const connection = await server.connect();
    for (let i = 0; i < 100; i += 1) await connection.ask('version');
    const stats = await server.stats('megapipe');
    const sum = (what: string) => [0, 1, 2].reduce((total, i) => total + Number(stats[`${i}:${what}`]), 0);
    for (const what of ['accepted', 'requests', 'completions', 'crossings', 'flushes', 'lwsockets'])
      expect(sum(what)).toBe(Number(stats[what]));
    expect(stats).toMatchObject({ enabled: 'yes', partition: 'yes', lwsocket: 'yes', batch: '32' });
    expect(Number(stats.requests)).toBeGreaterThan(200);
    expect(stats).toMatchObject({ accepted: '2', buffers_held: expect.stringMatching(/^[01]$/) });
  });

  test('techniques can be turned off one by one', async () => {
    const off = 'no_megapipe_lwsocket,no_megapipe_partition,megapipe_batch=1';
    const server = await begin(['-o', off, '-t', '3']);
    await Promise.all([1, 2, 3].map(() => setAndGet(server, 100_000)));
    const stats = await server.stats('megapipe');
    expect(stats).toMatchObject({ partition: 'no', lwsocket: 'no', batch: '1', lwsockets: '0' });
  });
}

/** The stock server runs out of descriptors first, and then makes clients wait for its accept queue. */
function describeTooMany(begin: Begin) {
  test('one connection too many is told so, and room comes back', async () => {
    const server = await begin(['-t', '2', '-c', '40', '-o', 'maxconns_fast']);
    const connections = await connectMany(server, 40);
    const answers = await Promise.all(connections.map((one) => one.ask('version').catch(String)));
    const served = answers.filter((answer) => answer.startsWith('VERSION'));
    expect(served.length).toBeGreaterThan(15);
    expect(answers.filter((answer) => answer.startsWith('ERROR Too many'))).toHaveLength(40 - served.length);
    for (const one of connections) one.destroy();
    await until('a connection is let in again', async () => {
      const answer = await (await server.connect()).ask('version').catch(String);
      return answer.startsWith('VERSION');
    });
    expect(Number((await server.stats()).rejected_connections)).toBeGreaterThan(0);
  });

  test('without maxconns_fast connections wait until there is room', async () => {
    const server = await begin(['-t', '2', '-c', '40']);
    const connections = await connectMany(server, 60);
    let answered = 0;
    const waiting = connections.map(async (connection) => {
      expect(await connection.ask('version')).toMatch(/^VERSION/);
      answered += 1;
    });
    await until('some are let in', () => answered >= 15);
    expect(answered).toBeLessThan(40);
    await Promise.all(waiting.map((one, i) => one.then(() => connections[i]?.destroy())));
    expect(Number((await server.stats()).listen_disabled_num)).toBeGreaterThan(0);
    expect(await server.stats()).toMatchObject({ accepting_conns: '1' });
  });
}

/** What keeps lists and chains whole without a lock for all of them. Assertions are on. */
function describeFineGrained(begin: Begin) {
  test('lists and chains stay whole while threads store, evict, delete and flush', async () => {
    const server = await begin(['-m', '16', '-t', '4'], { debug: true });
    expect(await server.stats('locks')).toMatchObject({ fine_grained_locks: 'yes' });
    await stress(server, 150_000);
    expect(Number((await server.stats()).evictions)).toBeGreaterThan(1000);
    await checkLists(server);
  });
}
