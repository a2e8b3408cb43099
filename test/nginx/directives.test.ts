import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { engines } from '../engines.js';
import { testUnless } from '../skip.js';
import { ask } from './client.js';
import type { Config } from './config.js';
import { describeEngines, type Kind, stock, unused } from './kinds.js';
import { checkConfig, start } from './server.js';
import { until } from './waiting.js';

const server = 'location / { add_header X-Pid $pid; return 200 hello; }';

/** A client that is light enough to be started for each request. */
const getOnce = (port: number) =>
  `use IO::Socket::INET; my $s = IO::Socket::INET->new("127.0.0.1:${port}") or die $!; ` +
  `print $s "GET / HTTP/1.0\\r\\n\\r\\n"; print <$s>`;

/** Which CPU a worker is pinned to. */
async function cpuOf(pid: number): Promise<number> {
  return Number((await execa('taskset', ['-cp', String(pid)])).stdout.split(': ').at(-1));
}

test.each([
  ['megapipe_engine iocp;', /invalid value "iocp"/],
  ['megapipe_engine;', /invalid number of arguments/],
  ['megapipe_batch 0;', /the batch must be between 1/],
  ['megapipe_batch abc;', /invalid number/],
  ['megapipe_batch 4097;', /the batch must be between 1/],
  ['megapipe_batch 1; megapipe_batch 2;', /is duplicate/],
  ['megapipe_moderation_us 10001;', /the moderation must be between 0 \(off\) and 10000 microseconds/],
  ['megapipe_lwsocket maybe;', /invalid value "maybe"/],
  ['megapipe_partition maybe;', /invalid value "maybe"/],
  ['megapipe_buffers 1000 4k;', /power of two/],
  ['megapipe_buffers 1024 1;', /size of a buffer must be between/],
  ['megapipe_buffers 1024;', /invalid number of arguments/],
])('%s is refused, with file and line', async (directive, reason) => {
  const { exitCode, all } = await checkConfig(unused, { events: `use megapipe; ${directive}` });
  expect(exitCode).toBe(1);
  expect(all).toMatch(reason);
  expect(all).toMatch(/\[emerg\].* in \S+nginx\.conf:\d+/);
});

test('a partition needs a CPU a worker', async () => {
  const main = 'worker_cpu_affinity 11;';
  const { exitCode, all } = await checkConfig(unused, {
    main,
    events: 'use megapipe; megapipe_partition on;',
  });
  expect(exitCode).toBe(1);
  expect(all).toMatch(/"megapipe_partition on" needs one CPU for each/);
});

test('directives without `use megapipe` are warned of', async () => {
  const { exitCode, all } = await checkConfig(unused, { events: 'megapipe_batch 8;' });
  expect(exitCode).toBe(0);
  expect(all).toMatch(/\[warn\].*no effect without "use megapipe"/);
});

for (const { engine, missing } of engines) {
  const isMissing = missing === undefined ? `engine ${engine} works here` : undefined;
  testUnless(isMissing)(`engine ${engine}, which does not work here, is refused at the start`, async () => {
    const { exitCode, all } = await checkConfig(unused, {
      events: `use megapipe; megapipe_engine ${engine};`,
    });
    expect(exitCode).toBe(1);
    expect(all).toMatch(new RegExp(`megapipe_engine "${engine}" does not work`));
  });
}

/** Who holds no other channels: the kernel counts what is locked by user. */
const daemons: Config = { user: 'daemon daemon', workers: 4, server };

const whyNoUring =
  process.getuid?.() === 0
    ? engines.find(({ engine }) => engine === 'uring')?.missing
    : 'only root can give workers a user of their own';

testUnless(whyNoUring)('the master decides what its workers have room for', async () => {
  const uring = { ...daemons, events: 'use megapipe; megapipe_engine uring;' };
  const none = await checkConfig(unused, uring, 16);
  expect(none.exitCode).toBe(1);
  expect(none.all).toMatch(/\[emerg\] .*"uring" does not work for 4 processes: RLIMIT_MEMLOCK is 16 KiB/);
  const once = await checkConfig(unused, uring, 64);
  expect(once.exitCode).toBe(0);
  expect(once.all).toMatch(/\[warn\] .*at a reload there is no room .* RLIMIT_MEMLOCK is 64 KiB/);
  const auto = await checkConfig(unused, { ...daemons, events: 'use megapipe;' }, 16);
  expect(auto.exitCode).toBe(0);
  expect(auto.all).toMatch(/\[warn\] .*megapipe_engine is "epoll": RLIMIT_MEMLOCK is 16 KiB/);
  const enough = await checkConfig(unused, uring, 1024);
  expect(enough).toMatchObject({ exitCode: 0, all: expect.not.stringContaining('[warn]') });
});

testUnless(whyNoUring)('a reload that has no room is refused, and the old workers serve on', async () => {
  const config: Config = { ...daemons, events: 'use megapipe; megapipe_engine uring;' };
  const nginx = await start(unused, { ...config, memlock: 64, expected: [/does not work for 4 processes/] });
  const workers = nginx.workers();
  nginx.signal('SIGHUP');
  await until('it is refused', () => /\[emerg\] .*does not work for 4 processes/.test(nginx.errorLog()));
  expect(nginx.workers()).toEqual(workers);
  expect(await ask(nginx.url)).toMatchObject({ text: 'hello' });
});

testUnless(whyNoUring)('workers of a reload fit in beside the old ones, if smaller', async () => {
  const config: Config = { ...daemons, events: 'use megapipe; megapipe_engine uring;' };
  const nginx = await start(unused, { ...config, memlock: 128 });
  const told = () => nginx.errorLog().match(/megapipe: engine uring, .* completions/g) ?? [];
  const before = nginx.workers();
  nginx.signal('SIGHUP');
  await until('new workers alone serve', () => {
    const now = nginx.workers();
    return now.length === 4 && !now.some((pid) => before.includes(pid));
  });
  expect(told()).toHaveLength(2);
  expect(await ask(nginx.url)).toMatchObject({ text: 'hello' });
});

test.each([stock, unused])('$name: without `use` it is stock nginx, over epoll', async (kind: Kind) => {
  const nginx = await start(kind, { server });
  expect(nginx.errorLog()).toMatch(/using the "epoll" event method/);
  expect(nginx.errorLog()).not.toMatch(/megapipe: engine/);
  expect(await ask(nginx.url)).toMatchObject({ text: 'hello' });
});

describeEngines((kind) => {
  test('the environment can make megapipe the default', async () => {
    const env = { NGX_MEGAPIPE_DEFAULT: '1', NGX_MEGAPIPE_ENGINE: String(kind.engine) };
    const nginx = await start({ ...kind, engine: undefined }, { server, env });
    expect(nginx.errorLog()).toMatch(/using the "megapipe" event method/);
    expect(nginx.errorLog()).toMatch(new RegExp(`megapipe: engine ${kind.engine},`));
    expect(await ask(nginx.url)).toMatchObject({ text: 'hello' });
  });

  test('… for as long as it lives: over reloads, and for a new binary', async () => {
    const env = { NGX_MEGAPIPE_DEFAULT: '1', NGX_MEGAPIPE_ENGINE: String(kind.engine) };
    const nginx = await start({ ...kind, engine: undefined }, { server, env, daemon: true });
    const told = () => nginx.errorLog().match(/using the "\w+" event method/g);
    nginx.signal('SIGHUP');
    await until('it is told again', () => told()?.length === 2);
    nginx.signal('SIGUSR2');
    await until('the new binary tells, too', () => told()?.length === 3);
    expect(new Set(told())).toEqual(new Set(['using the "megapipe" event method']));
    await until('it serves', () => existsSync(join(nginx.directory, 'nginx.pid.oldbin')));
    process.kill(Number(readFileSync(join(nginx.directory, 'nginx.pid.oldbin'), 'latin1')), 'SIGQUIT');
  });

  test('… but not against the configuration, which is warned of', async () => {
    const nginx = await start(
      { ...kind, engine: undefined },
      { server, env: { NGX_MEGAPIPE_DEFAULT: '1' }, events: 'use epoll;' },
    );
    expect(nginx.errorLog()).toMatch(/\[warn\].*NGX_MEGAPIPE_DEFAULT has no effect.*"use epoll"/);
    expect(nginx.errorLog()).toMatch(/using the "epoll" event method/);
  });

  test('with a partition each worker serves what its own CPU receives', async () => {
    const nginx = await start(kind, { server, workers: availableParallelism(), partition: true });
    for (const pid of nginx.workers()) {
      const cpu = String(await cpuOf(pid));
      for (let i = 0; i < 10; i += 1) {
        const { stdout } = await execa('taskset', ['-c', cpu, 'perl', '-e', getOnce(nginx.port)]);
        expect(stdout).toMatch(new RegExp(`^X-Pid: ${pid}\\r?$`, 'm'));
      }
    }
  });
});
