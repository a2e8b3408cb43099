import { existsSync } from 'node:fs';
import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { askAll, connectTo } from '../../loadgen/agents/nats.js';
import { type Hello, hello, subjects } from '../../loadgen/agents/protocol.js';
import { splitOptions } from '../../loadgen/agents/split.js';
import { echoResultSchema } from '../../loadgen/echo-result.js';
import { httpResultSchema } from '../../loadgen/http-result.js';
import { makePlan } from '../../loadgen/memcached.js';
import { memcachedProtocol } from '../../loadgen/memcached-load.js';
import { type LoadResult, loadResultSchema } from '../../loadgen/memcached-result.js';
import { memcachedOptions } from '../../loadgen/options.js';
import { parseRate } from '../../loadgen/rate.js';
import { startAgents } from '../../src/host/agents.js';
import { isAlive } from '../../src/host/alive.js';
import { megapipe } from '../megapipe.js';
import { pause, until } from '../waiting.js';
import { fakeAgent, idle } from './fake-agent.js';
import { startEcho } from './fake-echo.js';
import { type StockMemcached, startMemcached } from './stock-memcached.js';
import { startNginx } from './stock-nginx.js';
import { agentsForTest, conduct, natsForTest, untilSays } from './team.js';

let server: StockMemcached;
beforeAll(async () => {
  server = await startMemcached();
});
afterAll(() => server.stop());

const gets = async () => (await server.stats()).cmd_get ?? 0;

const small = ['--keys', '100', '--concurrency', '4', '--threads', '2'];
const at = (url: string, agents = '2') => ['--nats', url, '--agents', agents];
const load = (url: string, ...more: string[]) => ['--server', server.address, ...small, ...at(url), ...more];
const short = ['--duration', '0.5', '--warmup', '0', '--json'];
const endless = ['--duration', '600', '--warmup', '0', '--json', '--events'];

const resultOf = (stdout: string): LoadResult => loadResultSchema.parse(JSON.parse(stdout));

/** A server that takes connections and says nothing; `reached` once it is spoken to. */
async function mute(): Promise<{ address: string; reached: Promise<void> }> {
  let speak = () => {};
  const reached = new Promise<void>((resolve) => {
    speak = resolve;
  });
  const echo = await startEcho(() => speak());
  onTestFinished(() => echo.stop());
  return { address: echo.address, reached };
}

/** Who answers, and whether it works. */
async function present(url: string): Promise<Hello[]> {
  const nats = await connectTo(url, 0);
  const all: Hello[] = [];
  const asking = askAll(nats, subjects.hello('default'), (message) => all.push(hello.parse(message.json())));
  asking.again();
  await pause(500);
  await nats.close();
  return all;
}

const isIdle = async (url: string, count: number) => {
  const all = await present(url);
  return all.length === count && all.every(({ busy }) => !busy);
};

describe('an agent', () => {
  test('carries out one load after another, and ends at SIGTERM with status 0', async () => {
    const nats = await natsForTest();
    const agent = megapipe(['agent', '--nats', nats.url, '--name', 'one']);
    for (let i = 0; i < 2; i++) {
      const { stdout, exitCode } = await conduct('memcached', load(nats.url, ...at(nats.url, '1'), ...short));
      expect(exitCode).toBe(0);
      expect(resultOf(stdout).agents).toHaveLength(1);
    }
    agent.kill('SIGTERM');
    expect((await agent).exitCode).toBe(0);
  });

  test('that is told to end in the middle of a load says so, and its part is missing', async () => {
    const nats = await natsForTest();
    const agents = await agentsForTest(nats.url, ['a', 'b']);
    const running = conduct('memcached', load(nats.url, ...endless));
    await untilSays(running, '"measuring"');
    process.kill(agents.pids[0] as number, 'SIGTERM');
    await untilSays(running, 'agent a is lost: the agent was told to end');
    running.kill('SIGINT');
    const { stdout, exitCode } = await running;
    expect(exitCode).toBe(1);
    expect(resultOf(stdout).agents?.map(({ missing }) => missing)).toEqual([
      'the agent was told to end',
      null,
    ]);
  });

  test('drops its load when the conductor has vanished, and takes the next one', async () => {
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b']);
    const running = conduct('memcached', load(nats.url, ...endless, '--silence', '6'));
    await untilSays(running, '"measuring"');
    running.kill('SIGKILL');
    await running;
    await until('both are idle', () => isIdle(nats.url, 2));
    const { exitCode } = await conduct('memcached', load(nats.url, ...short));
    expect(exitCode).toBe(0);
  });

  test('finds a NATS server again that went away', async () => {
    const first = await natsForTest();
    await agentsForTest(first.url, ['a', 'b']);
    await first.stop();
    const port = Number(new URL(first.url).port);
    const second = await natsForTest({ port });
    expect(second.url).toBe(first.url);
    const { exitCode, stderr } = await conduct('memcached', load(second.url, ...short));
    expect(exitCode, stderr).toBe(0);
  });

  test('that can’t send its result says how large it is', async () => {
    const nats = await natsForTest({ maxPayload: 1500 });
    await agentsForTest(nats.url, ['a']);
    const { exitCode, stderr } = await conduct('memcached', load(nats.url, ...at(nats.url, '1'), ...short));
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /what it measured has \d+ bytes, and the NATS server takes 1500; raise its max_payload/,
    );
  });
});

describe('the conductor', () => {
  test('ends the agents’ loads at Ctrl-C, not the agents, and prints what they have', async () => {
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b']);
    const running = conduct('memcached', load(nats.url, ...endless));
    await untilSays(running, '"measuring"');
    const before = await gets();
    await until('something is measured', async () => (await gets()) > before + 1000);
    running.kill('SIGINT');
    const { stdout, stderr, exitCode } = await running;
    expect(exitCode, stderr).toBe(0);
    const result = resultOf(stdout);
    expect(result.interrupted).toBe(true);
    expect(result.requests.total).toBeGreaterThan(0);
    expect(stderr.split('\n').filter((line) => line.includes('"measured"'))).toHaveLength(1);
    await until('both are idle', () => isIdle(nats.url, 2));
  });

  test('does not wait for ever for a NATS server that went away, nor do the agents', async () => {
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b']);
    const running = conduct('memcached', load(nats.url, ...endless, '--silence', '6'));
    await untilSays(running, '"measuring"');
    await nats.stop();
    const { exitCode, stderr } = await running;
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/no agent measured anything: nothing was heard of it for \d+ s/);
    await natsForTest({ port: Number(new URL(nats.url).port) });
    await until('both are idle', () => isIdle(nats.url, 2));
  });

  test('keeps one line of all agents on a terminal up to date', async () => {
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b']);
    const onTerminal = (command: string[]) => ['script', '-qec', command.join(' '), '/dev/null'];
    const { stdout } = await conduct('memcached', load(nats.url, '--duration', '4.2'), onTerminal);
    expect(stdout).toMatch(/2 agents prepare/);
    expect(stdout).toMatch(/measuring: \d+ requests\/s, p50 \d+ us, p99 \d+ us, 4 connections/);
  });

  test('merges results of HTTP', async () => {
    const nginx = await startNginx();
    onTestFinished(() => nginx.stop());
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b', 'c']);
    const url = `${nginx.url}/counted`;
    const args = [url, '--concurrency', '6', '--requests', '601', '--requests-per-connection', '3', '--json'];
    const { requests, result } = await nginx.counted(() =>
      conduct('http', [...args, ...at(nats.url, 'all'), '--agents-within', '8']),
    );
    expect(result.exitCode, result.stderr).toBe(0);
    const merged = httpResultSchema.parse(JSON.parse(result.stdout));
    expect(merged.agents?.map(({ requests }) => requests)).toEqual([201, 200, 200]);
    expect(merged.requests.total).toBe(601);
    expect(merged.statuses).toEqual({ 200: 601 });
    expect(merged.whole.requests.total + merged.whole.requests.failed).toBe(requests);
    expect(merged.latencyUs.connect?.p50).toBeGreaterThan(0);
    expect(merged.bodyKBps).toBeCloseTo(merged.bodyBytes / 1000 / merged.window.seconds, 5);
  });

  test('merges results of echo', async () => {
    const echo = await startEcho((socket, chunk) => void socket.write(chunk));
    onTestFinished(() => echo.stop());
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b']);
    const args = ['--server', echo.address, '--concurrency', '4', '--requests', '500', '--json'];
    const { stdout, stderr, exitCode } = await conduct('echo', [...args, ...at(nats.url)]);
    expect(exitCode, stderr).toBe(0);
    const result = echoResultSchema.parse(JSON.parse(stdout));
    expect(result.agents?.map(({ requests }) => requests)).toEqual([250, 250]);
    expect(result.requests).toMatchObject({ total: 500, verified: 500 });
  });

  test('shares a rate among agents', async () => {
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b']);
    const { stdout, stderr } = await conduct('memcached', load(nats.url, ...short, '--rate', '200'));
    const { schedule, requests } = resultOf(stdout);
    expect(schedule?.rate, stderr).toBe(200);
    expect(schedule?.sent).toBeGreaterThanOrEqual(requests.total);
  });

  test('prints a table that tells who did what', async () => {
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b']);
    const { stdout } = await conduct('memcached', load(nats.url, '--requests', '500'));
    expect(stdout).toMatch(/agents.*a: 250 requests, 0 errors, clock [+-][\d.]+ ± [\d.]+ ms/);
    expect(stdout).toMatch(/b: 250 requests/);
  });

  test('says who ended before the start, and has the others wait for work again', async () => {
    const { address, reached } = await mute();
    const nats = await natsForTest();
    const agents = await agentsForTest(nats.url, ['a', 'b']);
    const running = conduct('memcached', ['--server', address, ...small, ...at(nats.url)]);
    await reached;
    process.kill(agents.pids[0] as number, 'SIGKILL');
    const { exitCode, stdout, stderr } = await running;
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(/^megapipe: agent a: it is gone;/m);
    await until('the other is idle', () => isIdle(nats.url, 1));
  });

  test('ends at Ctrl-C before the start, too', async () => {
    const { address, reached } = await mute();
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b']);
    const running = conduct('memcached', ['--server', address, ...small, ...at(nats.url)]);
    await reached;
    running.kill('SIGINT');
    const { exitCode, stderr } = await running;
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^megapipe: interrupted before anything was measured$/m);
    await until('both are idle', () => isIdle(nats.url, 2));
  });

  test('passes on what an agent finds wrong', async () => {
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b']);
    const wrong = await conduct('memcached', load(nats.url, '--key-size', '251'));
    expect(wrong).toMatchObject({ exitCode: 2, stdout: '' });
    expect(wrong.stderr).toContain('--key-size must lie within 1 and 250 bytes');
    expect(wrong.stderr).toMatch(/megapipe: agent [ab]: --key-size/);
    const nothing = ['--server', '127.0.0.1:1', '--no-prefill', ...small, ...at(nats.url)];
    const refused = await conduct('memcached', [...nothing, ...endless]);
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
    expect(refused.stderr).toContain(
      'no agent measured anything: no connection to the memcached server at 127.0.0.1:1: ECONNREFUSED; is it running, and reachable?',
    );
    await until('both are idle', () => isIdle(nats.url, 2));
  });

  test('names how many agents there are, and who works for somebody else', async () => {
    const nats = await natsForTest();
    const none = await conduct('memcached', [...load(nats.url), '--agents-within', '0.1']);
    expect(none.exitCode).toBe(1);
    expect(none.stderr).toMatch(
      /^megapipe: no free agents answer in session default, and 2 are wanted; start them:/,
    );
    await agentsForTest(nats.url, ['a', 'b']);
    const few = await conduct('memcached', load(nats.url, ...at(nats.url, '3'), '--agents-within', '8'));
    expect(few.stderr).toMatch(/^megapipe: 2 free agents answer in session default, and 3 are wanted;/);
    const other = await conduct('memcached', load(nats.url, '--session', 'other', '--agents-within', '0.1'));
    expect(other.stderr).toMatch(/^megapipe: no free agents answer in session other/);
    const running = conduct('memcached', load(nats.url, ...endless));
    await untilSays(running, '"measuring"');
    const busy = await conduct('memcached', load(nats.url, '--agents-within', '8'));
    expect(busy.stderr).toMatch(/no free agents .* and others work for somebody else: a, b;/);
    running.kill('SIGINT');
    expect((await running).exitCode).toBe(0);
  });

  test('refuses agents of another version, and two of one name', async () => {
    const nats = await natsForTest();
    await fakeAgent(nats.url, { version: '9.9.9', protocol: 7, news: 'of later versions' }, idle);
    const other = await conduct('memcached', load(nats.url, ...at(nats.url, '1'), '--agents-within', '8'));
    expect(other.exitCode).toBe(1);
    expect(other.stderr).toMatch(
      /^megapipe: agents of another version than ours \(\S+, protocol 2\) answer: fake \(9\.9\.9, protocol 7\); have the same/,
    );
    await fakeAgent(nats.url, { name: 'twin' }, idle);
    await fakeAgent(nats.url, { name: 'twin' }, idle);
    const twins = await conduct('memcached', load(nats.url));
    expect(twins.stderr).toContain('two agents are called twin; start one with another --name');
  });
});

describe('clocks', () => {
  test('that are wrong by seconds are corrected', async () => {
    const nats = await natsForTest();
    const skewed = { name: 'b', env: { MEGAPIPE_AGENT_SKEW_MS: '-50000' } };
    await agentsForTest(nats.url, ['a', skewed]);
    const { stdout, stderr } = await conduct('memcached', load(nats.url, ...short));
    const [right, wrong] = resultOf(stdout).agents ?? [];
    if (!right?.window || !wrong?.window) throw new Error(stderr);
    expect(Math.abs(right.clock.offsetMs)).toBeLessThanOrEqual(right.clock.uncertaintyMs);
    expect(Math.abs(wrong.clock.offsetMs + 50_000)).toBeLessThanOrEqual(wrong.clock.uncertaintyMs);
    // Both were told the same instant, and tell of it by the same clock.
    const apartMs = Date.parse(right.window.start) - Date.parse(wrong.window.start);
    expect(Math.abs(apartMs)).toBeLessThan(25_000);
  });

  test('that are wrong by more are refused', async () => {
    const nats = await natsForTest();
    await agentsForTest(nats.url, [{ name: 'late', env: { MEGAPIPE_AGENT_SKEW_MS: '-120000' } }]);
    const { exitCode, stderr, stdout } = await conduct('memcached', load(nats.url, ...at(nats.url, '1')));
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(
      /^megapipe: the clock of agent late is 120 s slow; let both machines keep their clocks by NTP/,
    );
  });

  test('that can’t be told well enough are refused', async () => {
    const nats = await natsForTest();
    const slowly = () => new Promise((resolve) => setTimeout(() => resolve({ wallMs: Date.now() }), 100));
    await fakeAgent(nats.url, {}, { ...idle, clock: slowly });
    const { stderr } = await conduct(
      'memcached',
      load(nats.url, ...at(nats.url, '1'), '--clock-bound', '20'),
    );
    expect(stderr).toMatch(
      /^megapipe: the clock of agent fake can only be told to \d+ ms, and 20 are allowed;/,
    );
  });

  test('that jump are refused', async () => {
    const nats = await natsForTest();
    let jump = 0;
    const agent = await fakeAgent(
      nats.url,
      {},
      {
        ...idle,
        clock: () => ({ wallMs: Date.now() + jump }),
        order: ({ run }) => {
          jump = 30_000;
          setImmediate(() => agent.tell(String(run), { kind: 'ready' }));
          return { refused: null };
        },
      },
    );
    const { stderr } = await conduct('memcached', load(nats.url, ...at(nats.url, '1')));
    expect(stderr).toMatch(/^megapipe: the clock of agent fake, or ours, jumped by \d+ ms within/);
  });
});

describe('an agent that does not do its part', () => {
  test.for([
    ['is silent', { ping: () => new Promise(() => {}) }, /agent fake: nothing was heard of it for \d+ s/],
    [
      'works at something else',
      { ping: () => ({ run: 'another' }) },
      /agent fake: it no longer works at this load/,
    ],
    [
      'refuses',
      { order: () => ({ refused: 'it works for somebody else' }) },
      /agent fake: it works for somebody else/,
    ],
    [
      'answers nonsense',
      { order: () => ({ what: 1 }) },
      /agent fake: its answer to "order" can't be understood/,
    ],
  ] as const)('%s: that ends the load', async ([_, answers, message]) => {
    const nats = await natsForTest();
    await fakeAgent(nats.url, {}, { ...idle, ...answers });
    const { exitCode, stderr } = await conduct(
      'memcached',
      load(nats.url, ...at(nats.url, '1'), '--silence', '3'),
    );
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(message);
  });

  test('sends a result that is none: its part is missing', async () => {
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a']);
    const agent = await fakeAgent(
      nats.url,
      { name: 'fake' },
      {
        ...idle,
        order: ({ run }) => {
          setImmediate(() => agent.tell(String(run), { kind: 'ready' }));
          return { refused: null };
        },
        start: ({ run }) => {
          const times = { intervals: 0, beganWallMs: 0, endedWallMs: 1 };
          setImmediate(() =>
            agent.tell(String(run), { kind: 'result', result: { of: 'nothing' }, ...times }),
          );
          return {};
        },
      },
    );
    const { exitCode, stdout, stderr } = await conduct('memcached', load(nats.url, ...short));
    expect(exitCode).toBe(1);
    expect(stderr).toContain("is missing: fake (its result can't be understood");
    expect(resultOf(stdout).requests.total).toBe(resultOf(stdout).agents?.[0]?.requests);
  });
});

describe('parts', () => {
  const given = {
    server: '127.0.0.1:1',
    agents: '3',
    nats: 'x',
    concurrency: '8',
    prefill: true,
    rate: '90',
    seed: '5',
  };

  test('share what is of all, and one of them sets the keys', () => {
    const options = { concurrency: 8, threads: undefined, requests: 100, rate: { constant: 90 } } as never;
    const parts = splitOptions(memcachedProtocol, { given, content: {} }, options, 3);
    expect(
      parts.map(({ given: { concurrency, requests, rate, prefill, part } }) => [
        concurrency,
        requests,
        rate,
        prefill,
        part,
      ]),
    ).toEqual([
      [3, 34, '30', true, 0],
      [3, 33, '30', false, 1],
      [2, 33, '30', false, 2],
    ]);
    expect(parts[0]?.given).not.toHaveProperty('nats');
    expect(parts[0]?.given).not.toHaveProperty('threads');
  });

  test('share each step of a rate', () => {
    const options = { concurrency: 3, rate: parseRate('90:1s,0..30:2s') } as never;
    const parts = splitOptions(memcachedProtocol, { given, content: {} }, options, 3);
    expect(parts.map((one) => one.given.rate)).toEqual(Array(3).fill('30:1s,0..10:2s'));
  });

  test('have the same keys and values, and ask for them in orders of their own', async () => {
    const common = {
      requestsPerConnection: '8',
      close: 'rst',
      pipeline: 1,
      arrival: 'poisson',
      engine: 'auto',
    };
    const more = {
      batch: 32,
      timeout: 5,
      verify: true,
      getSet: '9:1',
      keySize: 'fb-etc',
      valueSize: 'fb-etc',
    };
    const rest = {
      keys: 50,
      popularity: 'zipf:1',
      multiget: 1,
      protocol: 'ascii',
      threads: 1,
      concurrency: 2,
    };
    const planOf = async (part?: number) =>
      makePlan(
        await memcachedOptions({
          ...given,
          ...common,
          ...more,
          ...rest,
          ...(part === undefined ? {} : { part }),
        }),
      );
    const [alone, first, second] = [await planOf(), await planOf(0), await planOf(1)];
    expect(first).toEqual(alone);
    expect(second.keys).toEqual(first.keys);
    expect(second.valueSizes).toEqual(first.valueSizes);
    expect(second.pattern).toEqual(first.pattern);
    expect(second.sequences).not.toEqual(first.sequences);
    expect(second.gapsNs).not.toEqual(first.gapsNs);
  });
});

describe('the command', () => {
  test('says that no NATS server is there', async () => {
    const nowhere = 'nats://user:secret@127.0.0.1:1';
    for (const running of [conduct('memcached', load(nowhere)), megapipe(['agent', '--nats', nowhere])]) {
      const { exitCode, stderr } = await running;
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(
        /^megapipe: no NATS server answers at nats:\/\/127\.0\.0\.1:1: .*refused.*; is nats-server running/i,
      );
    }
  });

  test.for([
    [
      'load memcached --server x --agents 0 --nats nats://x',
      '--agents must be a whole number from 1 to 1024, or all',
    ],
    ['load memcached --server x --agents 2', '--agents needs --nats nats://HOST:PORT'],
    ['load memcached --server x --nats nats://x', '--nats is for --agents'],
    ['load memcached --server x --agents 2 --nats http://x', '--nats must be a URL like nats://HOST:4222'],
    [
      'load memcached --server x --agents 2 --nats nats://x --session a.b',
      '--session must be 1 to 64 letters',
    ],
    [
      'load http http://x --agents 2 --nats nats://x --silence 0',
      '--silence must be a number of seconds above 0, up to 3600',
    ],
    ['agent --nats nats://x --name a/b', '--name must be 1 to 64 letters'],
    ['agent --nats ftp://x', '--nats must be a URL like nats://HOST:4222'],
    ['agent', '--nats <url>'],
  ])('names what is wrong with %s', async ([args, message]) => {
    const { exitCode, stderr } = await megapipe((args ?? '').split(' '));
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test('says what can’t be shared', async () => {
    const nats = await natsForTest();
    await fakeAgent(nats.url, { name: 'a' }, idle);
    await fakeAgent(nats.url, { name: 'b' }, idle);
    const few = await conduct('memcached', ['--server', 'x', '--concurrency', '1', ...at(nats.url)]);
    expect(few.exitCode).toBe(2);
    expect(few.stderr).toContain("--concurrency 1 can't be shared by 2 agents");
  });
});

describe('agents and NATS servers that we start', () => {
  test('leave nothing behind, on failure either', async () => {
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a']);
    await nats.stop();
    expect(isAlive(nats.pid)).toBe(false);
    expect(existsSync(nats.folder)).toBe(false);
    const port = Number(new URL(nats.url).port);
    await expect(
      startAgents([{ name: 'x' }], nats.url, 'default', new AbortController().signal),
    ).rejects.toThrow(/agent x ended: megapipe: no NATS server answers/);
    const other = createConnection({ port, host: '127.0.0.1' });
    const refused = await new Promise((resolve) => other.once('error', resolve).once('connect', resolve));
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
    await expect(natsForTest({ address: '192.0.2.1' })).rejects.toThrow(/nats-server ended: .*192\.0\.2\.1/);
  });
});
