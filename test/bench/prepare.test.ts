import { expect, test } from 'vitest';
import type { Application } from '../../src/bench/application/application.js';
import { baseline, reuseport, whole } from '../../src/bench/application/variant.js';
import type { Plan } from '../../src/bench/plan.js';
import { preparePlan } from '../../src/bench/prepare.js';
import { startServer } from '../../src/bench/server.js';
import { killAll, processTree } from '../../src/host/process-tree.js';
import { makeTopology } from '../../src/host/topology.js';
import { isRunning } from './running.js';

/** A server that says hello on every connection, with a worker process that does nothing; as MegaPipe it refuses. */
const script = `
  const [address, port, server] = process.argv.slice(1);
  if (server === 'megapipe') { console.error('no channels today'); process.exit(3); }
  require('node:child_process').spawn('sleep', ['600']);
  require('node:net').createServer((s) => s.end('hello')).listen(Number(port), address);
`;

const content = { folder: '', parameters: {}, remove: () => undefined };

const stub: Application = {
  name: 'stub',
  workload: 'nothing',
  parameters: {},
  workloads: ['one'],
  varies: ['cores'],
  commonArguments: [],
  fineGrainedLocks: false,
  techniques: [],
  stock: [baseline, reuseport],
  defaultPort: 1,
  preset: () => ({ phases: [], durationMs: 1, warmupMs: 1 }),
  prepareContent: async () => content,
  serverCommand: ({ server }, { address, port }) => [
    process.execPath,
    '-e',
    script,
    address,
    String(port),
    server,
  ],
  processes: () => 2,
  orphaned: 'KILL',
  isReady: async (ask) => (await ask('')) === 'hello',
  identify: async () => null,
  readChannels: async () => null,
  complaints: () => ({ words: '[alert] the log’s own words', fatal: false }),
  loadWords: () => ['false'],
  readLoad: () => ({ measured: undefined, faults: ['none'] }),
};

const plan: Plan = {
  preset: 'quick',
  durationMs: 1,
  warmupMs: 1,
  budgetMs: null,
  phases: [
    {
      topology: 'loopback',
      variants: [baseline, reuseport, whole('uring'), whole('epoll')],
      points: [
        {
          workload: 'one',
          requestsPerConnection: null,
          messageBytes: null,
          cores: 1,
          connections: 1,
          rate: null,
        },
      ],
      headline: null,
      tracedPoints: [],
      samples: 1,
      about: 'one point',
      firstRound: 0,
    },
  ],
};

const nothingNamed = { variants: false, topologies: false };
const { signal } = new AbortController();

test('variants that cannot run are left out, each by name with its reason and its log', async () => {
  const prepared = await preparePlan(plan, stub, content, nothingNamed, signal);
  expect(prepared.plan.phases[0]?.variants.map(({ id }) => id)).toEqual(['baseline', 'reuseport']);
  const reason = 'the server ended with status 3: no channels today; its log: [alert] the log’s own words';
  expect(prepared.skips).toEqual([
    { type: 'skip', what: 'variant uring+PBL', reason },
    { type: 'skip', what: 'variant epoll+PBL', reason },
  ]);
});

test('a variant that was asked for by name and cannot run is an error', async () => {
  const named = { variants: true, topologies: false };
  await expect(preparePlan(plan, stub, content, named, signal)).rejects.toThrow(
    'variant uring+PBL does not work here: the server ended with status 3',
  );
});

test('a baseline that cannot run is an error that names the application', async () => {
  const broken: Application = { ...stub, serverCommand: () => ['sh', '-c', 'exit 4'] };
  await expect(preparePlan(plan, broken, content, nothingNamed, signal)).rejects.toThrow(
    'the baseline of stub does not work here: the server ended with status 4',
  );
});

test('a server’s processes are all known, and all ended with it', async () => {
  const topology = await makeTopology('loopback');
  const server = await startServer({ application: stub, topology, content, signal }, baseline, { cores: 1 });
  const pids = server.processes.map(({ pid }) => pid);
  expect(pids).toHaveLength(2);
  expect(pids.every(isRunning)).toBe(true);
  await server.stop();
  expect(pids.filter(isRunning)).toEqual([]);
});

test('workers end even where the process that started them has died before', async () => {
  const topology = await makeTopology('loopback');
  const server = await startServer({ application: stub, topology, content, signal }, baseline, { cores: 1 });
  const pids = server.processes.map(({ pid }) => pid);
  process.kill(pids[0] as number, 'SIGKILL');
  await expect.poll(() => isRunning(pids[0] as number)).toBe(false);
  await expect(server.stop()).rejects.toThrow('the server was killed by SIGKILL');
  expect(pids.filter(isRunning)).toEqual([]);
});

test('a process that has ended has no tree, and killing it again is no matter', async () => {
  const topology = await makeTopology('loopback');
  const server = await startServer({ application: stub, topology, content, signal }, baseline, { cores: 1 });
  await server.stop();
  expect(processTree(server.processes[0]?.pid as number)).toEqual([]);
  await killAll(server.processes);
});
