import { chmodSync, existsSync, readFileSync, renameSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ask, digest, longText, open } from './client.js';
import type { Config } from './config.js';
import { describeKinds } from './kinds.js';
import { isRunning, titleOf } from './processes.js';
import { type Nginx, start } from './server.js';
import { bodyOf, httpUpstream } from './upstream.js';
import { until } from './waiting.js';

const hello: Config = { server: 'location / { add_header X-Pid $pid; return 200 hello; }' };

const secondListener: Config['http'] = ({ ports }) =>
  `server { listen 127.0.0.1:${ports[1]}; ${hello.server} }`;

/** Ask on short connections without a pause until told to stop; every request must be answered. */
function load(nginx: Nginx, { clients = 6, ports = nginx.ports } = {}) {
  const failures: string[] = [];
  let answered = 0;
  let isOver = false;
  const client = async (_: unknown, i: number) => {
    const url = `http://127.0.0.1:${ports[i % ports.length]}`;
    while (!isOver) {
      const outcome = await ask(url).then(({ text }) => text, String);
      if (outcome === 'hello') answered += 1;
      else failures.push(outcome);
    }
  };
  const all = Promise.all(Array.from({ length: clients }, client));
  return {
    /** Wait until so many more were answered, failed ones not counted. */
    async more(count: number) {
      const goal = answered + count;
      await until(`${count} more requests are over`, () => answered >= goal || failures.length > 20);
    },
    /** What failed. */
    async stop() {
      isOver = true;
      await all;
      return failures;
    },
  };
}

const includesAny = (pids: number[], others: number[]) => pids.some((pid) => others.includes(pid));

/** Reload, and wait until new workers alone are left. */
async function reload(nginx: Nginx, config: Config) {
  const before = nginx.workers();
  nginx.configure(config);
  nginx.signal('SIGHUP');
  const wanted = config.workers ?? 1;
  await until('new workers alone serve', () => {
    const now = nginx.workers();
    return now.length === wanted && !includesAny(now, before);
  });
}

const oldMaster = (nginx: Nginx) => Number(readFileSync(join(nginx.directory, 'nginx.pid.oldbin'), 'latin1'));

/** The shapes that reload and upgrade must hold in. */
const shapes: { name: string; config: Config }[] = [
  { name: 'shared listeners', config: { ...hello, workers: 2 } },
  { name: 'two listeners', config: { ...hello, http: secondListener } },
  { name: 'a partition a worker', config: { ...hello, workers: availableParallelism(), partition: true } },
  {
    name: 'a partition by default',
    config: { ...hello, workers: availableParallelism(), partition: 'default' },
  },
];

describeKinds((kind) => {
  test.each(shapes)('reloads under load fail no request: $name', async ({ config }) => {
    const nginx = await start(kind, { ...config, portCount: config.http ? 2 : 1 });
    const requests = load(nginx);
    await requests.more(100);
    for (let i = 0; i < 3; i += 1) {
      await reload(nginx, config);
      await requests.more(50);
    }
    expect(await requests.stop()).toEqual([]);
  });

  test('reloads that remove a listener and add it again fail no request on another', async () => {
    const both: Config = { ...hello, http: secondListener };
    const nginx = await start(kind, { ...both, portCount: 2 });
    const [kept, removed] = nginx.ports as [number, number];
    const requests = load(nginx, { ports: [kept] });
    const others = load(nginx, { ports: [removed], clients: 2 });
    const served = () =>
      ask(`http://127.0.0.1:${removed}`).then(
        ({ text }) => text === 'hello',
        () => false,
      );
    for (const config of [hello, both, hello]) {
      await reload(nginx, config);
      await until('the listener is as configured', async () => (await served()) === (config === both));
      await requests.more(20);
    }
    await others.stop();
    expect(await requests.stop()).toEqual([]);
  });

  test('reloads to more workers, and to fewer, under load', async () => {
    const nginx = await start(kind, hello);
    const requests = load(nginx);
    for (const workers of [3, 4, 1, 2]) {
      await reload(nginx, { ...hello, workers });
      await requests.more(50);
    }
    expect(await requests.stop()).toEqual([]);
  });

  test.each(shapes)('a binary upgrade under load fails no request: $name', async ({ config }) => {
    const nginx = await start(kind, { ...config, daemon: true, portCount: config.http ? 2 : 1 });
    const requests = load(nginx);
    await requests.more(50);
    const before = nginx.workers();
    nginx.signal('SIGUSR2');
    await until('the new master has its workers', () => {
      const now = nginx.workers().filter((pid) => !before.includes(pid));
      return existsSync(join(nginx.directory, 'nginx.pid.oldbin')) && now.length === (config.workers ?? 1);
    });
    await requests.more(50);
    process.kill(oldMaster(nginx), 'SIGWINCH');
    await until('the old workers are gone', () => !includesAny(nginx.workers(), before));
    await requests.more(50);
    const old = oldMaster(nginx);
    process.kill(old, 'SIGQUIT');
    await until('the old master is gone', () => !isRunning(old));
    await requests.more(50);
    expect(await requests.stop()).toEqual([]);
  });

  test('a graceful stop finishes what has begun, and closes what is idle', async () => {
    const waiting: ServerResponse[] = [];
    const upstream = await httpUpstream((_request, response) => void waiting.push(response));
    const nginx = await start(kind, {
      files: { 'big.bin': Buffer.alloc(30_000_000, 'x') },
      server: `location / { } location /wait { proxy_pass http://127.0.0.1:${upstream.port}; }`,
    });
    const idle = await nginx.connect();
    idle.write('GET /none HTTP/1.1\r\nHost: a\r\n\r\n');
    await idle.until('</html>');
    const slow = await open(`${nginx.url}/big.bin`);
    const waited = ask(`${nginx.url}/wait`);
    await until('the request is at the upstream', () => waiting.length === 1);
    nginx.signal('SIGQUIT');
    await idle.rest();
    waiting[0]?.end('at last');
    expect((await waited).text).toBe('at last');
    expect(await digest(slow)).toMatch(/^30000000 bytes/);
    await nginx.end();
    await expect(ask(nginx.url)).rejects.toThrow();
  });

  test('a fast stop waits for nobody', async () => {
    const upstream = await httpUpstream(() => {});
    const nginx = await start(kind, {
      server: `location / { proxy_pass http://127.0.0.1:${upstream.port}; }`,
    });
    const waiting = ask(nginx.url).then(String, () => 'gone');
    await until('the request is at the upstream', () => upstream.accepted === 1);
    nginx.signal('SIGTERM');
    expect(await waiting).toBe('gone');
    await until('all are gone', () => nginx.processes().length === 0);
  });

  test('a client that stays active over a reload is told to close', async () => {
    if (kind.engine === undefined) return; // stock closes it between two requests
    const nginx = await start(kind, hello);
    const [old] = nginx.workers() as [number];
    const client = await nginx.connect();
    const request = async () => {
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      return client.until('hello');
    };
    expect(await request()).toContain('Connection: keep-alive');
    nginx.signal('SIGHUP');
    await until('it is told', async () => (await request()).includes('Connection: close'));
    await client.rest();
    await until('the old worker is gone', () => !isRunning(old));
  });

  test.each(['', 'timer_resolution 100ms;'])('a worker itself heeds TERM, QUIT and USR1 %s', async (main) => {
    const nginx = await start(kind, { main, ...hello });
    chmodSync(join(nginx.directory, 'error.log'), 0o666); // which a worker that is nobody opens by itself
    const reopened = (pid: number) =>
      new RegExp(`\\[notice\\] ${pid}#.*reopening logs`).test(nginx.errorLog());
    for (const isIdle of [true, false])
      for (const signal of ['SIGTERM', 'SIGQUIT'] as const) {
        await until('a worker serves', () => nginx.workers().length === 1);
        const [pid] = nginx.workers() as [number];
        const client = isIdle ? undefined : await nginx.connect();
        if (client) {
          client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
          await client.until('hello');
        }
        process.kill(pid, 'SIGUSR1');
        await until('it opens its logs anew', () => reopened(pid));
        process.kill(pid, signal);
        await client?.rest();
        await until(`${signal} ends it`, () => !isRunning(pid));
      }
    expect(await ask(nginx.url)).toMatchObject({ text: 'hello' });
  });

  test('worker_shutdown_timeout ends connections that keep a worker', async () => {
    const upstream = await httpUpstream(() => {});
    const config: Config = {
      main: 'worker_shutdown_timeout 300ms;',
      server: `location / { proxy_pass http://127.0.0.1:${upstream.port}; }`,
    };
    const nginx = await start(kind, config);
    const waiting = ask(nginx.url).then(String, () => 'gone');
    await until('the request is at the upstream', () => upstream.accepted === 1);
    await reload(nginx, config);
    expect(await waiting).toBe('gone');
  });

  test.each(['SIGKILL', 'SIGSEGV'] as const)(
    'a worker that ends by %s is replaced, and requests are served on',
    async (signal) => {
      const nginx = await start(kind, {
        ...hello,
        workers: 2,
        expected: [/\[alert\].*exited on signal/, /DEADLYSIGNAL|AddressSanitizer/],
      });
      for (let i = 0; i < 1; i += 1) {
        const [victim] = nginx.workers() as [number];
        process.kill(victim, signal);
        await until(
          'a new worker serves',
          () => nginx.workers().length === 2 && !nginx.workers().includes(victim),
        );
        const served = await Promise.all(Array.from({ length: 20 }, () => ask(nginx.url)));
        for (const { headers } of served) expect(nginx.workers()).toContain(Number(headers['x-pid']));
      }
    },
  );

  test('master_process off', async () => {
    const nginx = await start(kind, { ...hello, master: false });
    for (let i = 0; i < 50; i += 1)
      expect(await ask(nginx.url)).toMatchObject({
        text: 'hello',
        headers: { 'x-pid': String(nginx.master()) },
      });
  });

  test('workers are nobody’s, with a partition each too', async () => {
    if (process.getuid?.() !== 0) return; // a user of his own cannot become another
    const nginx = await start(kind, { ...hello, workers: availableParallelism(), partition: true });
    const userOf = (pid: number) => /^Uid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    expect(nginx.workers().map(userOf)).toEqual(nginx.workers().map(() => '65534'));
    expect(await ask(nginx.url)).toMatchObject({ text: 'hello' });
  });

  test('SIGUSR1 opens logs anew', async () => {
    const nginx = await start(kind, { server: `access_log access.log; ${hello.server}` });
    const [log, moved] = [join(nginx.directory, 'access.log'), join(nginx.directory, 'moved.log')];
    await ask(`${nginx.url}/before`);
    await until('it is logged', () => readFileSync(log, 'latin1').includes('/before'));
    renameSync(log, moved);
    nginx.signal('SIGUSR1');
    await until('the new log is there', () => existsSync(log));
    await until('the worker writes there', async () => {
      await ask(`${nginx.url}/after`);
      return readFileSync(log, 'latin1').includes('/after');
    });
    expect(readFileSync(moved, 'latin1')).toContain('/before');
  });

  test.each(['', 'timer_resolution 100ms;'])(
    'timers end idle connections though nothing else happens %s',
    async (main) => {
      const nginx = await start(kind, {
        main,
        server: `keepalive_timeout 300ms; client_header_timeout 300ms; ${hello.server}`,
      });
      const idle = await nginx.connect();
      idle.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      expect(await idle.rest()).toMatch(/hello$/);
      const half = await nginx.connect();
      half.write('GET / HTT');
      expect(await half.rest()).toBe('');
    },
  );

  test('thread pools read files', async () => {
    const content = await bodyOf(longText(3_000_000));
    const nginx = await start(kind, {
      files: { 'file.bin': content },
      main: 'thread_pool pool threads=4;',
      server: 'location / { aio threads=pool; sendfile off; output_buffers 2 32k; } ',
    });
    const answers = await Promise.all(
      Array.from({ length: 30 }, async () => (await ask(`${nginx.url}/file.bin`)).body.equals(content)),
    );
    expect(answers.every(Boolean)).toBe(true);
  });

  if (kind.sanitize) return; // ten seconds, that the manager sleeps
  test('a cache has its processes, which live and work beside the workers', async () => {
    let made = 0;
    const upstream = await httpUpstream(({ url }, response) => void response.end(`${url} ${++made}`));
    const nginx = await start(kind, {
      http: 'proxy_cache_path cache keys_zone=one:1m inactive=1s max_size=1m;',
      server: `add_header X-Cache $upstream_cache_status;
        location / { proxy_pass http://127.0.0.1:${upstream.port}; proxy_cache one; proxy_cache_valid 1h; }`,
    });
    const titles = () => nginx.processes().map(titleOf);
    await until('manager and loader are there', () =>
      ['cache manager', 'cache loader'].every((name) => titles().some((title) => title.includes(name))),
    );
    const first = await ask(`${nginx.url}/a`);
    expect(first.headers).toMatchObject({ 'x-cache': 'MISS' });
    expect(await ask(`${nginx.url}/a`)).toMatchObject({ text: first.text, headers: { 'x-cache': 'HIT' } });
    // Asking would keep it alive: the manager alone removes it.
    await until('the manager removes what nobody asks for', async () => {
      await new Promise((resolve) => setTimeout(resolve, 2500));
      return (await ask(`${nginx.url}/a`)).headers['x-cache'] === 'MISS';
    });
  });
});
