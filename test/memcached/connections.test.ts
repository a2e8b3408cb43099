import { readdirSync, readlinkSync } from 'node:fs';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { type Engine, engines } from '../engines.js';
import { until } from '../waiting.js';
import type { Connection } from './connection.js';
import { dumpAndSet, setAndGet } from './exchanges.js';
import { describeEngines, megapipe, type Server, start, testedVersion } from './server.js';

async function connectMany(server: Server, count: number): Promise<Connection[]> {
  const connections: Connection[] = [];
  for (let i = 0; i < count; i += 1) connections.push(await server.connect());
  return connections;
}

function socketsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    const target = linkTarget(`${folder}/${fd}`);
    return target.startsWith('socket:') ? [target] : [];
  });
}

/** It may have been closed meanwhile. */
function linkTarget(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

const currentConnections = async (server: Server) => Number((await server.stats()).curr_connections);

/** Which CPUs this process may use. */
async function cpus(): Promise<number[]> {
  const { stdout } = await execa('taskset', ['-cp', String(process.pid)]);
  const list = stdout.split(': ').at(-1) ?? '';
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: (last ?? first) - first + 1 }, (_, i) => first + i);
  });
}

/** Without what moves items meanwhile, behind the crawler's back: it would dump them twice. */
const still = ['-o', 'no_lru_maintainer,no_slab_reassign'];

const connectTen = (port: number) =>
  `use IO::Socket::INET; for (1..10) { my $s = IO::Socket::INET->new("127.0.0.1:${port}") or die $!; ` +
  `print $s "version\\r\\n"; <$s> }`;

describeEngines((engine, sanitize) => {
  test('each worker accepts what its own CPU has received', async () => {
    const allowed = (await cpus()).slice(0, 2);
    const server = await start({ sanitize, args: [...megapipe(engine), '-t', String(allowed.length)] });
    for (const [worker, cpu] of allowed.entries()) {
      const before = await server.stats('megapipe');
      await execa('taskset', ['-c', String(cpu), 'perl', '-e', connectTen(server.port)]);
      const after = await server.stats('megapipe');
      const gained = Number(after[`${worker}:accepted`]) - Number(before[`${worker}:accepted`]);
      expect(gained).toBeGreaterThanOrEqual(10);
    }
  });

  test('without partition every connection is served too', async () => {
    const server = await start({ sanitize, args: [...megapipe(engine, 'no_megapipe_partition'), '-t', '3'] });
    for (const connection of await connectMany(server, 50)) {
      expect(await connection.ask('version')).toMatch(/^VERSION/);
    }
  });

  async function openSockets(server: Server, count: number) {
    const pid = server.process.pid as number;
    const before = socketsOf(pid);
    const connections = await connectMany(server, 20);
    for (const connection of connections) await connection.ask('version');
    const added = () => socketsOf(pid).filter((socket) => !before.includes(socket));
    await expect.poll(added).toHaveLength(count);
  }

  test('lwsockets take no fd, where the engine has them', async () => {
    const server = await start({ sanitize, args: megapipe(engine) });
    await openSockets(server, engine === 'epoll' ? 20 : 0);
    await expect.poll(() => server.stats('megapipe')).toMatchObject({ lwsockets: '21' });
  });

  test('without lwsocket connections are fds', async () => {
    const server = await start({ sanitize, args: megapipe(engine, 'no_megapipe_lwsocket') });
    await openSockets(server, 20);
    expect(await server.stats('megapipe')).toMatchObject({ lwsockets: '0' });
  });

  test('stats megapipe adds up', async () => {
    const server = await start({
      sanitize,
      args: [...megapipe(engine, 'megapipe_moderation_us=20', 'megapipe_steal_us=1000'), '-t', '3'],
    });
    const connection = await server.connect();
    for (let i = 0; i < 100; i += 1) await connection.ask('version');
    const stats = await server.stats('megapipe');
    const sum = (name: string) => [0, 1, 2].reduce((total, i) => total + Number(stats[`${i}:${name}`]), 0);
    for (const name of [
      'accepted',
      'accepts_stolen',
      'requests',
      'completions',
      'crossings',
      'flushes',
      'lwsockets',
    ]) {
      expect(sum(name)).toBe(Number(stats[name]));
    }
    expect(stats).toMatchObject({
      engine,
      '0:engine': engine,
      '2:engine': engine,
      moderation_us: '20',
      steal_us: '1000',
      accepted: '2',
      lwsockets: '2',
    });
    expect(Number(stats.requests)).toBeGreaterThan(200);
    expect(Number(stats.batch_max)).toBeGreaterThanOrEqual(Number(stats.batch_mean));
  });

  test('stats conns names both ends of connections of every worker', async () => {
    const server = await start({ sanitize, args: [...megapipe(engine), '-t', '4'] });
    const connections = await connectMany(server, 30);
    for (const connection of connections) await connection.ask('version');
    const stats = await server.stats('conns');
    const addresses = Object.entries(stats).filter(([name]) => name.endsWith(':addr'));
    const found = new Set(addresses.map(([, address]) => address));
    for (const { socket } of connections) expect(found).toContain(`tcp:127.0.0.1:${socket.localPort}`);
    const own = Object.values(stats).filter((value) => value === `tcp:127.0.0.1:${server.port}`);
    expect(own).toHaveLength(1 + 30 + 1); // the listener, these, and the one that asks
  });

  test('stats conns asks for the names of connections once', async () => {
    const server = await start({ sanitize, args: megapipe(engine) });
    for (const connection of await connectMany(server, 100)) await connection.ask('version');
    const asking = await server.connect();
    await asking.ask('stats conns', 'END\r\n');
    const before = await server.stats('megapipe');
    for (let i = 0; i < 20; i += 1) await asking.ask('stats conns', 'END\r\n');
    const after = await server.stats('megapipe');
    // It was two calls and more for each connection each time.
    expect(Number(after.crossings) - Number(before.crossings)).toBeLessThan(20 * 100);
  });

  test('connections that come while descriptors are short are served later, and it is told', async () => {
    const server = await start({ sanitize, args: megapipe(engine) });
    const limit = (files: number) =>
      execa('prlimit', ['--pid', String(server.process.pid), `--nofile=${files}:`]);
    await limit(3);
    const connections = await connectMany(server, 5);
    const answers = connections.map((connection) => connection.ask('version'));
    let told = '';
    server.process.all.on('data', (data: Buffer) => {
      told += data.toString();
    });
    // The other engines' lwsockets need none.
    if (engine === 'epoll')
      await until('it is told', () => told.includes("can't accept connections: Too many open files"));
    await limit(1024);
    for (const answer of answers) expect(await answer).toMatch(/^VERSION/);
  });

  // Over epoll a connection has an fd, so this can't fail.
  if (engine !== 'epoll')
    test('what fails for each connection is told once a second, with how often', async () => {
      const server = await start({ sanitize, args: [...megapipe(engine), '-t', '1'] });
      const limit = (files: number) =>
        execa('prlimit', ['--pid', String(server.process.pid), `--nofile=${files}:`]);
      const many = 200;
      const connections = await connectMany(server, many);
      for (const connection of connections) await connection.ask('version');
      await limit(3);
      const started = Date.now();
      for (const connection of connections) connection.write('lru_crawler metadump all\r\n');
      for (const connection of connections) expect(await connection.rest()).toBe('');
      const seconds = (Date.now() - started) / 1000;
      await limit(1024);
      const { output } = await server.end();
      const told = output.match(/an't make an fd of a connection: Too many open files.*/g) ?? [];
      expect(told.length).toBeGreaterThan(0);
      expect(told.length).toBeLessThan(seconds + 3);
    });

  test('one connection too many is told so, and room comes back', async () => {
    const server = await start({ sanitize, args: [...megapipe(engine), '-t', '2', '-c', '40'] });
    const accepted: Connection[] = [];
    let answer = '';
    while (accepted.length < 40) {
      const connection = await server.connect();
      answer = await connection.ask('version').catch((error: Error) => error.message);
      if (!answer.startsWith('VERSION')) break;
      accepted.push(connection);
    }
    expect(answer).toBe('ERROR Too many open connections\r\n');
    expect(accepted.length).toBeGreaterThan(20);
    accepted.pop()?.destroy();
    accepted.pop()?.destroy();
    await until('a connection is let in again', async () => {
      const connection = await server.connect();
      const again = await connection.ask('version').catch(() => '');
      connection.destroy();
      return again.startsWith('VERSION');
    });
    expect(Number((await server.stats()).rejected_connections)).toBeGreaterThan(0);
  });

  test('with no_maxconns_fast connections wait until there is room', async () => {
    const server = await start({
      sanitize,
      args: [...megapipe(engine, 'no_maxconns_fast'), '-t', '2', '-c', '40'],
    });
    const connections = await connectMany(server, 60);
    const answers = connections.map((connection) =>
      connection.ask('version').catch((error: Error) => error.message),
    );
    let answered = 0;
    for (const answer of answers) void answer.then(() => answered++);
    await until('20 connections are let in', () => answered >= 20);
    // Not one more than -c says, however late a worker learns that the others have filled it.
    expect(answered).toBeLessThan(40);
    // Who is served goes, and makes room; in which order is up to the workers.
    await Promise.all(
      connections.map(async (connection, i) => {
        expect(await answers[i]).toMatch(/^VERSION/);
        connection.destroy();
      }),
    );
    expect(Number((await server.stats()).listen_disabled_num)).toBeGreaterThan(0);
  });

  test('a connection that is reset at any moment leaves nothing behind', async () => {
    const server = await start({ sanitize, args: [...megapipe(engine), '-m', '128'] });
    const keeper = await server.connect();
    await keeper.ask(`set big 0 0 900000\r\n${'x'.repeat(900_000)}`);
    const before = await currentConnections(server);
    for (let i = 0; i < 200; i += 1) {
      const connection = await server.connect();
      const requests = ['get big\r\n'.repeat(20), `set half 0 0 500000\r\n${'y'.repeat(i * 500)}`, 'ge', ''];
      connection.write(requests[i % 4] as string);
      if (i % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      connection.socket.resetAndDestroy();
    }
    await expect.poll(() => currentConnections(server)).toBe(before);
    expect(await keeper.ask('version')).toMatch(/^VERSION/);
    await expect.poll(() => server.stats('megapipe')).toMatchObject({ buffers_held: '0', lwsockets: '2' });
  });

  test('watch and metadump hand the connection to a side thread', async () => {
    const server = await start({ sanitize, args: [...megapipe(engine), ...still] });
    const watcher = await server.connect();
    expect(await watcher.ask('watch fetchers connevents')).toBe('OK\r\n');
    const connection = await server.connect();
    await connection.ask('set one 0 0 3\r\nabc');
    await connection.ask('get one', 'END\r\n');
    expect(await watcher.until('item_get key=one')).toMatch(/type=conn_new rip=127\.0\.0\.1/);
    expect(await connection.ask('lru_crawler metadump all', 'END\r\n')).toMatch(/^key=one .*\nEND\r\n$/);
    expect(await connection.ask('get one', 'END\r\n')).toMatch(/^VALUE one 0 3/);
    // Later versions dump by this one, too, and 1.6.18 says that it doesn't.
    connection.write('lru_crawler mgdump all\r\n');
    const dump = await connection.until('\r\n');
    if (dump.startsWith('ERROR')) expect(testedVersion).toBeUndefined();
    else expect(dump + (await connection.until('EN\r\n'))).toBe('mg one\r\nEN\r\n');
    expect(await connection.ask('lru_crawler crawl all')).toMatch(/^(OK|BUSY)/);
    expect(await connection.ask('get one', 'END\r\n')).toMatch(/^VALUE one 0 3/);
    await expect.poll(() => server.stats('megapipe')).toMatchObject({ lwsockets: '1' });
  });

  test('what follows metadump in the same packet is answered after it', async () => {
    const server = await start({ sanitize, args: [...megapipe(engine), ...still] });
    const connection = await server.connect();
    await connection.ask('set one 0 0 3\r\nabc');
    connection.write('lru_crawler metadump all\r\nget one\r\nversion\r\n');
    expect(await connection.until('\r\n')).toMatch(/^key=one .*\nEND\r\n$/);
    expect(await connection.until('VERSION')).toBe('VALUE one 0 3\r\nabc\r\nEND\r\nVERSION');
  });

  test('much that follows metadump is answered after it, as by the stock server', async () => {
    const ours = await start({ sanitize, args: [...megapipe(engine), ...still] });
    const stock = await start({ variant: 'baseline', args: still });
    for (const length of [20_000, 100_000, 900_000, 1_100_000]) {
      const answers = await Promise.all([ours, stock].map((server) => dumpAndSet(server, length)));
      expect(answers[0]).toBe(answers[1]);
    }
    await expect.poll(() => ours.stats('megapipe')).toMatchObject({ buffers_held: '0', lwsockets: '1' });
  });

  test('a watcher that has sent much behind its command watches, as of the stock server', async () => {
    const servers = [
      await start({ sanitize, args: [...megapipe(engine), ...still] }),
      await start({ variant: 'baseline', args: still }),
    ];
    for (const server of servers) {
      const watcher = await server.connect();
      watcher.write(`watch mutations\r\n${'mn\r\n'.repeat(25_000)}`);
      expect(await watcher.until('\r\n')).toBe('OK\r\n');
      await setAndGet(server, 10);
      expect(await watcher.until('key=big')).toMatch(/type=item_store/);
      watcher.destroy();
    }
  });

  test('a client that shuts its side after metadump gets all of it', async () => {
    const server = await start({ sanitize, args: [...megapipe(engine), ...still] });
    const connection = await server.connect();
    await connection.ask('set one 0 0 3\r\nabc');
    connection.socket.end('lru_crawler metadump all\r\n');
    expect(await connection.rest()).toMatch(/^key=one .*\nEND\r\n$/);
  });

  test('a long backlog is no reason not to start', async () => {
    const server = await start({ sanitize, args: [...megapipe(engine), '-c', '2048', '-b', '4096'] });
    expect(await server.stats('settings')).toMatchObject({ maxconns: '2048', tcp_backlog: '4096' });
  });

  test('noreply commands in great number take turns', async () => {
    const server = await start({ sanitize, args: [...megapipe(engine), '-R', '1', '-t', '1'] });
    const [busy, other] = (await connectMany(server, 2)) as [Connection, Connection];
    busy.write('set one 0 0 1 noreply\r\n1\r\n'.repeat(20_000));
    expect(await other.ask('version')).toMatch(/^VERSION/);
    expect(await busy.ask('mn', 'MN\r\n')).toBe('MN\r\n');
    expect(Number((await server.stats()).conn_yields)).toBeGreaterThan(1000);
  });
});

async function checkIdleTimeout(engine: Engine, sanitize: boolean) {
  // As long as no machine keeps a server and us waiting: who is not served for so long counts as idle.
  const server = await start({ sanitize, args: megapipe(engine, 'idle_timeout=8') });
  const idle = await connectMany(server, 5);
  const busy = await server.connect();
  let isGone = false;
  void Promise.all(idle.map((connection) => connection.rest())).then(() => {
    isGone = true;
  });
  await until('the idle connections are closed', async () => {
    expect(await busy.ask('version')).toMatch(/^VERSION/);
    return isGone;
  });
  expect(Number((await server.stats()).idle_kicks)).toBeGreaterThanOrEqual(5);
}

test('idle connections are closed, busy ones are not, on every engine', async () => {
  const working = engines.filter(({ missing }) => missing === undefined);
  const servers = working.flatMap(({ engine }) => [
    checkIdleTimeout(engine, false),
    checkIdleTimeout(engine, true),
  ]);
  await Promise.all(servers);
});
