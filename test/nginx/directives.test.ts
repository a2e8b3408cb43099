import { availableParallelism } from 'node:os';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { engines } from '../engines.js';
import { testUnless } from '../skip.js';
import { ask } from './client.js';
import { describeEngines, type Kind, stock, unused } from './kinds.js';
import { checkConfig, start } from './server.js';

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
  const { exitCode, all } = await checkConfig(unused, { events: 'use megapipe; megapipe_partition on;' });
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
