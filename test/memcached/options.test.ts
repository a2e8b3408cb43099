import { expect, test } from 'vitest';
import { engines } from '../engines.js';
import { megapipe, run, start } from './server.js';

const port = ['-l', '127.0.0.1', '-p', '-1'];

test.each([
  ['megapipe_engine=iocp', /megapipe_engine must be auto, kernel, uring or epoll/],
  ['megapipe_engine', /megapipe_engine must be auto, kernel, uring or epoll/],
  ['megapipe_batch=0', /megapipe_batch must be a number from 1 to 4096/],
  ['megapipe_batch=many', /megapipe_batch must be a number from 1 to 4096/],
  ['megapipe_batch', /megapipe_batch must be a number from 1 to 4096/],
  ['megapipe_moderation_us=10000000', /megapipe_moderation_us must be a number from 0 to 10000/],
  ['megapipe_steal_us', /megapipe_steal_us must be a number from 0 to 10000000/],
  ['no_megapipe_lwsocket=1', /no_megapipe_lwsocket takes no value/],
  ['megapipe_lwsockets', /Illegal suboption "megapipe_lwsockets"/],
])('-o megapipe,%s is refused', async (option, message) => {
  const { exitCode, stderr } = await run('megapipe', [...port, '-o', `megapipe,${option}`]);
  expect(stderr).toMatch(message);
  expect(exitCode).toBeGreaterThan(0);
});

test.each([
  [['-Z', '-o', 'ssl_kernel_tls'], /can't be used with -o ssl_kernel_tls: the channel sends/],
  [['-N', '1'], /can't be used with -N/],
])('MegaPipe and %j are refused together', async (args, message) => {
  const { exitCode, stderr } = await run('megapipe', [...port, '-o', 'megapipe', ...args]);
  expect(stderr).toMatch(message);
  expect(exitCode).toBeGreaterThan(0);
});

test('techniques are refused without MegaPipe', async () => {
  const { exitCode, stderr } = await run('megapipe', [...port, '-o', 'megapipe_batch=8']);
  expect(stderr).toMatch(/megapipe_batch needs -o megapipe/);
  expect(exitCode).toBeGreaterThan(0);
});

for (const { engine } of engines.filter(({ missing }) => missing !== undefined)) {
  test(`engine ${engine}, which does not work here, is a start-up error that says why`, async () => {
    const { exitCode, stderr } = await run('megapipe', [...port, ...megapipe(engine)]);
    expect(stderr).toMatch(new RegExp(`engine "${engine}" doesn't work: \\w+`));
    expect(exitCode).toBeGreaterThan(0);
  });
}

test('a server without MegaPipe says so', async () => {
  const { exitCode, stderr } = await run('baseline', [...port, '-o', 'megapipe']);
  expect(stderr).toMatch(/not built with MegaPipe support/);
  expect(exitCode).toBeGreaterThan(0);
});

test('the help names every option', async () => {
  const { stdout } = await run('megapipe', ['-h']);
  for (const option of ['megapipe', 'engine', 'batch', 'lwsocket', 'partition', 'pin_threads']) {
    expect(stdout).toMatch(new RegExp(`- (?:no_)?(?:megapipe_)?${option}:`));
  }
  expect((await run('baseline', ['-h'])).stdout).toMatch(/pin_threads/);
});

test('options come from the environment too, and the command line has the last word', async () => {
  const env = { MEMCACHED_MEGAPIPE: 'megapipe,megapipe_engine=epoll,megapipe_batch=3' };
  const server = await start({ env, args: ['-o', 'megapipe_batch=5'] });
  expect(await server.stats('megapipe')).toMatchObject({ enabled: 'yes', engine: 'epoll', batch: '5' });
});

test('without -o megapipe the server is as ever', async () => {
  const server = await start();
  expect(await server.stats('megapipe')).toEqual({ enabled: 'no' });
  expect(await server.stats('settings')).toMatchObject({ megapipe: 'no', pin_threads: 'no' });
});

test.each(engines.filter(({ missing }) => missing === undefined))(
  'one line at the start tells engine, techniques and room: $engine',
  async ({ engine }) => {
    const server = await start({ args: megapipe(engine, 'no_megapipe_partition', 'megapipe_batch=7') });
    const stats = await server.stats('megapipe');
    const { output } = await server.end();
    expect(output).toBe(
      `MegaPipe: engine ${engine}, partition off, batch 7, lwsocket on; each of 4 workers has room for ` +
        `${stats['0:max_lwsockets']} lwsockets, ${stats['0:buffers']} buffers, ` +
        `${stats['0:completion_entries']} completions`,
    );
    // Of each worker, and of all together.
    for (const name of ['max_lwsockets', 'buffers', 'completion_entries']) {
      const each = [0, 1, 2, 3].map((worker) => Number(stats[`${worker}:${name}`]));
      expect(Number(stats[name])).toBe(each.reduce((sum, one) => sum + one));
    }
  },
);

test('MegaPipe pins its threads', async () => {
  const server = await start({ args: ['-o', 'megapipe'] });
  expect(await server.stats('settings')).toMatchObject({ megapipe: 'yes', pin_threads: 'yes' });
});
