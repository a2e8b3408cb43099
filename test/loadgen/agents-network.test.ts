import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { type LoadResult, loadResultSchema } from '../../loadgen/memcached-result.js';
import type { Agents } from '../../src/host/agents.js';
import { startChild } from '../../src/host/child.js';
import { dialogue } from '../../src/host/dialogue.js';
import { freePort } from '../../src/host/free-port.js';
import type { NatsServer } from '../../src/host/nats-server.js';
import { makeTopology, type Topology, whyNoTopology } from '../../src/host/topology.js';
import { loadPort, serverBinary } from '../../src/port/port.js';
import { testUnless } from '../skip.js';
import { until } from '../waiting.js';
import { agentsForTest, conduct, natsForTest, untilSays } from './team.js';

/** Three client hosts, each a network namespace with an agent, and a server's host with memcached. */
const why = await whyNoTopology('netns-3');

let topology: Topology;
const ending = new AbortController();

beforeAll(async () => {
  if (why === undefined) topology = await makeTopology('netns-3');
});
afterAll(async () => {
  ending.abort();
  await topology?.remove();
});

type Stats = Record<string, number>;

async function startServer(): Promise<{ address: string; stats(): Promise<Stats>; stop(): Promise<void> }> {
  const { address } = topology.record.server;
  const port = await freePort();
  const binary = serverBinary(loadPort('memcached'), 'baseline');
  const command = [binary, '-u', 'root', '-l', address, '-p', String(port), '-U', '0', '-m', '256'];
  const child = startChild(topology.onServer(command), ending.signal);
  const stats = async () => {
    const text = await dialogue(topology.onServer, address, port, 'stats\r\nquit\r\n');
    return Object.fromEntries(
      [...text.matchAll(/^STAT (\S+) (\d+)\r?$/gm)].map(([, name, n]) => [name, Number(n)]),
    );
  };
  await until('memcached listens', async () => ((await stats().catch(() => ({}) as Stats)).pid ?? 0) > 0);
  return {
    address: `${address}:${port}`,
    stats,
    async stop() {
      child.kill('SIGKILL');
      await child;
    },
  };
}

async function team(): Promise<{ nats: NatsServer; agents: Agents }> {
  const [first] = topology.onClients;
  const nats = await natsForTest({ on: first, address: topology.record.clients[0]?.address ?? '' });
  const options = ['--allow', topology.record.server.address, '--insecure'];
  const places = topology.onClients.map((on, i) => ({ name: `host${i + 1}`, on, options }));
  return { nats, agents: await agentsForTest(nats.url, places) };
}

const small = ['--keys', '500', '--concurrency', '10', '--threads', '3'];

const sumOf = (result: LoadResult, of: 'requests' | 'errors') =>
  (result.agents ?? []).reduce((sum, agent) => sum + (agent[of] ?? 0), 0);

describe('three agents on three hosts', () => {
  testUnless(why)('load together: their parts add up to what the server counted', async () => {
    const server = await startServer();
    const { nats } = await team();
    const args = ['--server', server.address, ...small, '--duration', '2.5', '--warmup', '0.3'];
    const { stdout, stderr, exitCode } = await conduct(
      'memcached',
      [
        ...args,
        '--agents',
        '3',
        '--nats',
        nats.url,
        '--insecure',
        '--json',
        '--events',
        '--requests-per-connection',
        '8',
      ],
      topology.onClients[0],
    );
    expect(exitCode, stderr).toBe(0);
    const result = loadResultSchema.parse(JSON.parse(stdout));
    const { cmd_get, cmd_set, get_hits, total_connections } = await server.stats();

    expect(result.agents?.map(({ name, missing }) => [name, missing])).toEqual([
      ['host1', null],
      ['host2', null],
      ['host3', null],
    ]);
    expect(sumOf(result, 'requests')).toBe(result.requests.total);
    expect(sumOf(result, 'errors')).toBe(0);
    expect(result.whole.requests.get).toBe(cmd_get);
    // One of them sets the keys: 500 and no more.
    expect(result.whole.requests.set).toBe(cmd_set);
    expect(result.whole.requests.hits).toBe(get_hits);
    expect(result.whole.requests.misses).toBe(0);
    expect(result.whole.connections).toBeLessThanOrEqual(total_connections ?? 0);
    expect(result.threads).toHaveLength(3);
    expect(result.config).toMatchObject({ concurrency: '10', agents: 3 });
    await server.stop();

    const histogram = decodeFromCompressedBase64(result.histogram.service);
    expect(histogram.totalCount).toBe(result.requests.total);
    expect(Math.round(histogram.getValueAtPercentile(99)) / 1000).toBe(result.latencyUs.service?.p99);
    expect(result.series.reduce((sum, { requests }) => sum + requests, 0)).toBe(result.requests.total);
    for (const { latencyUs, requests } of result.series) expect(latencyUs === undefined).toBe(requests === 0);

    // From when the first began to when the last ended.
    const times = (result.agents ?? []).flatMap(({ window }) => (window ? [window] : []));
    expect(result.window.start.wall).toBe(times.map(({ start }) => start).sort()[0]);
    expect(result.window.end.wall).toBe(
      times
        .map(({ end }) => end)
        .sort()
        .at(-1),
    );
    expect(result.throughputRps).toBeCloseTo(result.requests.total / result.window.seconds, 5);
    const events = stderr
      .split('\n')
      .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line).event] : []));
    expect(events).toEqual(['measuring', 'measured']);
  });

  testUnless(why)('go on without one that is killed, whose part is marked missing', async () => {
    const server = await startServer();
    const { nats, agents } = await team();
    const args = [
      '--server',
      server.address,
      ...small,
      '--duration',
      '9',
      '--warmup',
      '0',
      '--json',
      '--events',
    ];
    const running = conduct(
      'memcached',
      [...args, '--agents', '3', '--nats', nats.url, '--insecure'],
      topology.onClients[0],
    );
    await untilSays(running, '"measuring"');
    process.kill(agents.pids[1] as number, 'SIGKILL');
    const { stdout, stderr, exitCode } = await running;
    await server.stop();
    expect(exitCode).toBe(1);
    expect(stderr).toContain('megapipe: agent host2 is lost: it is gone');
    expect(stderr).toContain(
      'megapipe: the part of 1 of 3 agents is missing: host2 (it is gone); the result is of the others alone',
    );
    const result = loadResultSchema.parse(JSON.parse(stdout));
    expect(result.agents?.map(({ missing }) => missing)).toEqual([null, 'it is gone', null]);
    expect(result.agents?.[1]?.requests).toBeUndefined();
    expect(sumOf(result, 'requests')).toBe(result.requests.total);
    expect(decodeFromCompressedBase64(result.histogram.service).totalCount).toBe(result.requests.total);
    expect(result.threads).toHaveLength(2);
  });
});
