import { readFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkLimits, parseAllowed } from '../../loadgen/agents/limits.js';
import { checkSecrecy } from '../../loadgen/agents/nats.js';
import { agentOptions, conductorOptions } from '../../loadgen/agents/options.js';
import type { Plan } from '../../loadgen/engine.js';
import type { Load } from '../../loadgen/load.js';
import { makePrefillPlan } from '../../loadgen/memcached.js';
import type { CommonResult } from '../../loadgen/result.js';
import { megapipe } from '../megapipe.js';
import { testUnless } from '../skip.js';
import { until } from '../waiting.js';
import { startEcho } from './fake-echo.js';
import { echoGiven, httpGiven, strangerAt } from './stranger.js';
import { agentHere, agentsForTest, conduct, natsForTest } from './team.js';

const host = (address: string, port = 80) => ({ host: address, port });

describe('--allow', () => {
  test.for([
    ['10.0.0.0/8', ['10.255.0.1', '::ffff:10.1.1.1'], ['11.0.0.1', '127.0.0.1', 'fd00::1']],
    ['10.1.2.3', ['10.1.2.3'], ['10.1.2.4']],
    ['10.0.0.0/8:80', ['10.0.0.1'], []],
    ['10.0.0.0/8:81', [], ['10.0.0.1']],
    ['fd00::1', ['fd00::1', 'fd00:0::0:1'], ['fd00::2', 'fd00::1%lo']],
    ['[fd00::]/8:80', ['fdff::1'], ['fe80::1', '10.0.0.1']],
    ['fd00::/8:80', ['fdff::1'], ['fe80::1']],
    ['0.0.0.0/0', ['8.8.8.8'], ['2001::1']],
  ] as const)('%s', ([text, covered, others]) => {
    const { covers } = parseAllowed(text) ?? { covers: () => undefined };
    for (const address of covered) expect(covers(host(address)), address).toBe(true);
    for (const address of others) expect(covers(host(address)), address).toBe(false);
    expect(covers({ path: '/run/x' })).toBe(false);
  });

  test('names a UNIX socket by its whole path', () => {
    const { covers } = parseAllowed('unix:/run/a') ?? { covers: () => undefined };
    expect(covers({ path: '/run/a' })).toBe(true);
    for (const path of ['/run/ab', '/run/a\0b', '/run/../run/a']) expect(covers({ path })).toBe(false);
    expect(covers(host('127.0.0.1'))).toBe(false);
  });

  test.for([
    '',
    'unix:',
    'x',
    '10.0.0.0/33',
    '10.0.0.0:0',
    '10.0.0.0:65536',
    'fd00::/129',
    '[fd00::',
    'a.example:80',
  ])('refuses %j', (text) =>
    expect(() => agentOptions({ nats: 'nats://x', allow: [text] })).toThrow(
      '--allow must be like 10.0.0.0/8',
    ),
  );
});

describe('an agent', () => {
  test('loads what is on loopback or allowed, and nothing else, whatever the order calls it', async () => {
    const nats = await natsForTest();
    await agentHere(nats.url, { allow: ['198.51.100.7:80', 'unix:/nonexistent/allowed'] });
    const { order } = await strangerAt(nats.url);
    for (const place of [
      '192.0.2.1:80',
      '198.51.100.7:81',
      '[::ffff:192.0.2.1]:80',
      '0.0.0.0:80',
      'unix:/run/docker.sock',
    ]) {
      const told = await order('echo', echoGiven(place));
      expect(told, place).toMatchObject({
        kind: 'failed',
        message: expect.stringMatching(/^this agent may not load /),
      });
      expect(told.hint).toMatch(/^start it with --allow /);
    }
    const overUnix = await order('http', { ...httpGiven('http://127.0.0.1/'), unix: '/run/docker.sock' });
    expect(overUnix).toMatchObject({
      kind: 'failed',
      message: 'this agent may not load unix:/run/docker.sock',
    });
    for (const place of ['127.0.0.2:80', '[::1]:80', '198.51.100.7:80', 'unix:/nonexistent/allowed'])
      expect(await order('echo', echoGiven(place)), place).toMatchObject({ kind: 'ready' });
  });

  test('sends no faster than --max-rate, keys that are set before included', async () => {
    const nats = await natsForTest();
    await agentHere(nats.url, { maxRate: '50' });
    const { order } = await strangerAt(nats.url);
    const given = echoGiven('127.0.0.1:1');
    expect(await order('echo', given)).toMatchObject({ kind: 'failed', hint: 'say --rate' });
    expect(await order('echo', { ...given, rate: '51' })).toMatchObject({
      kind: 'failed',
      message: 'this agent may send 50 requests a second, and its part are 51',
    });
    expect(await order('echo', { ...given, rate: 50 })).toMatchObject({ kind: 'ready' });
    const plan = { cpus: Uint32Array.of(0), keyOffsets: Uint32Array.of(0, 1) } as Plan;
    expect(makePrefillPlan(plan, 50).gapsNs).toEqual(Float64Array.of(2e7));
  });

  test('without --max-rate takes a closed loop', () => {
    const load = { plan: host('127.0.0.1'), options: {} } as unknown as Load<CommonResult>;
    expect(checkLimits({ allow: [], maxRate: undefined }, load)).toBeUndefined();
  });
});

const statusOf = (pid: number | undefined) => readFileSync(`/proc/${pid}/status`, 'latin1');
const notRoot = process.getuid?.() === 0 ? undefined : 'only root has rights to give up';

describe('an agent that root starts', () => {
  testUnless(notRoot)('becomes nobody, says so, and loads', async () => {
    const echo = await startEcho((socket, chunk) => void socket.write(chunk));
    onTestFinished(() => echo.stop());
    const nats = await natsForTest();
    const agent = megapipe(['agent', '--nats', nats.url]);
    onTestFinished(() => void agent.kill('SIGKILL'));
    let said = '';
    agent.stderr.on('data', (chunk) => {
      said += chunk;
    });
    await until('it says who it is', () => said.includes('it runs as nobody, without root'));
    expect(said).toContain('it may load loopback, at any rate');
    const args = ['--server', echo.address, '--concurrency', '2', '--requests', '40', '--json'];
    const { exitCode, stderr } = await conduct('echo', [...args, '--agents', '1', '--nats', nats.url]);
    expect(exitCode, stderr).toBe(0);
    const [pid] = /(\d+) waits for work at/.exec(said)?.slice(1).map(Number) ?? [];
    expect(statusOf(pid)).toMatch(/^Uid:\s+(?!0\s)(\d+)\s+\1\s+\1\s+\1$/m);
    expect(statusOf(pid)).toMatch(/^CapPrm:\s+0+$/m);
  });

  testUnless(notRoot)('keeps its rights where that is asked for', async () => {
    const nats = await natsForTest();
    const agents = await agentsForTest(nats.url, ['a']);
    expect(statusOf(agents.pids[0])).toMatch(/^Uid:\s+0\s/m);
  });
});

describe('a NATS server beyond loopback', () => {
  const refused = /is beyond loopback, and asks for neither a password nor TLS/;

  test('must have a password or TLS, unless that is said to be insecure', () => {
    for (const url of [
      'nats://10.0.0.1',
      'nats://a.example:4222',
      'nats://user@10.0.0.1',
      'nats://[fd00::1]:4222',
    ])
      expect(() => checkSecrecy(url, false), url).toThrow(refused);
    expect(() => checkSecrecy('nats://10.0.0.1', true)).not.toThrow();
    const secret = ['nats://u:p@10.0.0.1', 'tls://a.example'];
    for (const url of [...secret, 'nats://localhost', 'nats://127.0.0.1:1', 'nats://[::1]'])
      expect(() => checkSecrecy(url, false), url).not.toThrow();
  });

  test('is refused by agent and conductor alike', async () => {
    const url = 'nats://192.0.2.1';
    for (const args of [
      ['agent', '--nats', url],
      ['load', 'echo', '--server', '127.0.0.1:1', '--agents', '1', '--nats', url],
    ]) {
      const { exitCode, stderr } = await megapipe(args);
      expect(exitCode).toBe(2);
      expect(stderr).toMatch(refused);
      expect(stderr).toContain('--insecure where only your machines reach it');
    }
  });

  test('is said to be insecure on both command lines', () => {
    const common = { nats: 'nats://10.0.0.1', insecure: true };
    expect(agentOptions(common).insecure).toBe(true);
    const all = { ...common, agents: '1', concurrency: '1', timeout: '5' };
    expect(conductorOptions(all, 'echo').insecure).toBe(true);
  });
});
