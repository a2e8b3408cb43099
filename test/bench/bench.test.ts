import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { allowedCpus } from '../../src/base/cpus.js';
import { whyNoTracing } from '../../src/bench/trace.js';
import { describePriority } from '../../src/host/priority.js';
import { whyNoTopology } from '../../src/host/topology.js';
import { megapipe } from '../megapipe.js';
import { testUnless } from '../skip.js';
import { until } from '../waiting.js';
import {
  areLoaded,
  childrenOf,
  isRunning,
  measuringIn,
  namespacesOf,
  newResults,
  notBuilt,
  runOf,
  start,
} from './running.js';

const files: string[] = [];

afterEach(() => {
  for (const file of files.splice(0)) rmSync(dirname(file), { recursive: true });
});

function resultsFile(): string {
  const file = newResults();
  files.push(file);
  return file;
}

const noNamespaces = notBuilt ?? (await whyNoTopology('netns'));
const noTracing = await whyNoTracing();

/** One point, as short as a sample can be. */
const short = ['--no-setup', '--requests-per-connection', '10', '--duration', '1'];

describe('a run', () => {
  testUnless(notBuilt)('measures variants in rounds, writes its results and reports', async () => {
    const file = resultsFile();
    const args = [
      '--topology',
      'loopback',
      '--variants',
      'baseline,epoll+PBL',
      '--samples',
      '2',
      '--out',
      file,
    ];
    const { stdout, all, exitCode } = await start(['bench', 'memcached', ...short, ...args]);
    expect(exitCode, all).toBe(0);
    const { samples, machine, end } = runOf(file);
    expect(end?.outcome).toBe('complete');
    expect(machine.plan).toMatchObject({ preset: 'custom', samples: 2, durationMs: 1000 });
    const timed = samples.filter(({ kind }) => kind === 'timed');
    expect(timed.map(({ status }) => status)).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect(timed.map(({ round, variant }) => `${round} ${variant.id}`)).toEqual([
      '0 baseline',
      '0 epoll+PBL',
      '1 epoll+PBL',
      '1 baseline',
    ]);
    expect(stdout).toContain('epoll+PBL against stock I/O: ');
    expect(stdout).not.toContain('┌');
    expect(readFileSync(file.replace('.ndjson', '.html'), 'utf8')).toContain('<!doctype html>');
  });

  testUnless(notBuilt)(
    'runs its servers in a session of its own, with the priority that it says',
    async () => {
      const file = resultsFile();
      const args = ['--topology', 'loopback', '--variants', 'baseline', '--samples', '1', '--out', file];
      const bench = start(['bench', 'memcached', ...short, ...args]);
      const measuring = await measuringIn(bench.pid as number);
      const server = await serverUnderLoad(measuring);
      const had = { session: statOf(server)[3], nice: Number(statOf(server)[16]), group: groupOf(server) };
      const { stderr, exitCode } = await bench;
      expect(exitCode, stderr).toBe(0);
      expect(had.session).toBe(String(measuring));
      const { priority } = runOf(file).machine;
      if (priority === null) throw new Error('it is not on record');
      expect(stderr).toContain(`megapipe: ${describePriority(priority)}`);
      if (priority.kind === 'autogroup') expect(had.group).toContain(` nice ${priority.nice}\n`);
      else expect(had.nice).toBe(priority.nice);
    },
  );

  testUnless(notBuilt)('has everybody’s priority where it is asked to', async () => {
    const file = resultsFile();
    const args = ['--topology', 'loopback', '--variants', 'baseline', '--samples', '1', '--out', file];
    const { stderr } = await start(['bench', 'memcached', '--no-priority', ...short, ...args]);
    expect(runOf(file).machine.priority).toEqual({ kind: 'none', nice: 0, reason: '--no-priority' });
    expect(stderr).toContain('at normal priority (--no-priority)');
  });

  testUnless(notBuilt)('has in each sample what was done in its window, and by whom', async () => {
    const file = resultsFile();
    const args = ['--topology', 'loopback', '--variants', 'epoll+PBL', '--samples', '1', '--out', file];
    expect((await start(['bench', 'memcached', ...short, ...args])).exitCode).toBe(0);
    const [stock, ported] = runOf(file).samples;
    if (stock?.status !== 'ok' || ported?.status !== 'ok') throw new Error('a sample failed');
    for (const { measured } of [stock, ported]) {
      expect(measured.windowUs).toBeGreaterThan(990_000);
      expect(measured.requests).toBeGreaterThan(0);
      expect(measured.connections).toBeGreaterThan(0);
      expect(measured.serverCpuUs).toBeGreaterThan(0);
      expect(measured.clientCpuUs).toBeGreaterThan(0);
      expect(measured.latencyUs.p50).toBeGreaterThan(0);
      expect(measured.latencyUs.p99).toBeGreaterThanOrEqual(measured.latencyUs.p50);
    }
    expect(stock.channels).toBeNull();
    expect(ported.channels).toMatchObject({
      engine: 'epoll',
      techniques: ['partition', 'batch', 'lwsocket'],
    });
    expect(ported.channels?.crossings).toBeGreaterThan(0);
    // Each of the client's requests is at least something received and something sent.
    expect(ported.channels?.operations).toBeGreaterThan(ported.measured.requests);
  });

  testUnless(notBuilt ?? noTracing)('counts system calls in samples of their own', async () => {
    const file = resultsFile();
    const args = ['--topology', 'loopback', '--variants', 'baseline', '--samples', '1', '--out', file];
    expect((await start(['bench', 'memcached', ...short, ...args])).exitCode).toBe(0);
    const [timed, traced] = runOf(file).samples;
    expect(timed).toMatchObject({ kind: 'timed', status: 'ok', systemCalls: null });
    if (traced?.status !== 'ok') throw new Error('the traced sample failed');
    // Who accepts on one CPU hands connections to the thread of another, and wakes it.
    if (allowedCpus().length > 1) expect(traced.remoteWakeUps).toBeGreaterThan(0);
    else expect(traced.remoteWakeUps).toBe(0);
    // memcached reads and answers each request with calls of its own.
    expect((traced.systemCalls as number) / traced.measured.requests).toBeGreaterThan(1.5);
  });

  testUnless(noNamespaces)('runs server and clients on hosts and CPUs of their own', async () => {
    const file = resultsFile();
    const args = ['--topology', 'netns', '--variants', 'baseline', '--samples', '1', '--out', file];
    const bench = start(['bench', 'memcached', ...short, ...args]);
    const measuring = await measuringIn(bench.pid as number);
    const { all, exitCode } = await bench;
    expect(exitCode, all).toBe(0);
    const { samples, machine } = runOf(file);
    expect(samples[0]).toMatchObject({ topology: 'netns', status: 'ok' });
    expect(machine.topologies[0]?.sharesCpus).toBe(false);
    expect(await namespacesOf(measuring)).toEqual([]);
  });

  testUnless(notBuilt)('goes on after a server that dies, and says what became of it', async () => {
    const file = resultsFile();
    const args = [
      '--topology',
      'loopback',
      '--variants',
      'baseline',
      '--samples',
      '2',
      '--out',
      file,
      '--duration',
      '5',
    ];
    const bench = start(['bench', 'memcached', ...short, ...args]);
    const server = await serverUnderLoad(await measuringIn(bench.pid as number));
    process.kill(server, 'SIGKILL');
    const { exitCode, stdout } = await bench;
    expect(exitCode).toBe(0);
    const timed = runOf(file).samples.filter(({ kind }) => kind === 'timed');
    expect(timed[0]).toMatchObject({ status: 'failed', reason: 'the server was killed by SIGKILL' });
    expect(timed[1]).toMatchObject({ status: 'ok' });
    expect(stdout).toMatch(/memcached: 1 of \d samples failed/);
  });
});

/** What the kernel says of a process after its name: its state, its parent, its group, its session, … */
function statOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Its autogroup's words, where there are autogroups. */
function groupOf(pid: number): string {
  const file = `/proc/${pid}/autogroup`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** The pid of a sample's server, once it is loaded. */
async function serverUnderLoad(measuring: number): Promise<number> {
  let server: number | undefined;
  await until('a server is loaded', () => {
    server = childrenOf(measuring).find(({ command }) => command.includes('hashpower'))?.pid;
    return server !== undefined && areLoaded([server]);
  });
  return server as number;
}

describe('an interrupted run', () => {
  const endless = (file: string, topology: string) => [
    'bench',
    'memcached',
    ...short,
    ...[
      '--topology',
      topology,
      '--variants',
      'baseline',
      '--samples',
      '50',
      '--out',
      file,
      '--duration',
      '3',
    ],
  ];

  /** A run in namespaces that measures, with all that it started. */
  async function underLoad(file: string) {
    const bench = start(endless(file, 'netns'));
    const pid = await measuringIn(bench.pid as number);
    await serverUnderLoad(pid);
    return { bench, pid, children: childrenOf(pid).map((child) => child.pid) };
  }

  testUnless(noNamespaces)('leaves no process and no namespace, and its results can be read', async () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const file = resultsFile();
      const { bench, pid, children } = await underLoad(file);
      expect(await namespacesOf(pid)).toHaveLength(2);
      bench.kill(signal);
      const result = await bench;
      expect(result.signal).toBe(signal);
      expect(result.stderr).toContain(`the samples that were taken are in ${file}`);
      expect(children.filter(isRunning)).toEqual([]);
      expect(await namespacesOf(pid)).toEqual([]);
      expect(runOf(file).end?.outcome).toBe('interrupted');
    }
  });

  testUnless(noNamespaces)(
    'that was killed outright ends as one that was interrupted: what measures outlives it so long',
    async () => {
      const file = resultsFile();
      const { bench, pid, children } = await underLoad(file);
      bench.kill('SIGKILL');
      await bench;
      await until('all have ended', () => ![pid, ...children].some(isRunning));
      expect(await namespacesOf(pid)).toEqual([]);
      expect(runOf(file).end?.outcome).toBe('interrupted');
    },
  );

  testUnless(noNamespaces)(
    'whose session was killed outright takes its processes with it; the next run removes its namespaces',
    async () => {
      const file = resultsFile();
      const { bench, pid, children } = await underLoad(file);
      process.kill(pid, 'SIGKILL');
      expect((await bench).signal).toBe('SIGKILL');
      await expect.poll(() => children.filter(isRunning)).toEqual([]);
      expect(await namespacesOf(pid)).toHaveLength(2);
      const next = resultsFile();
      const args = ['--topology', 'netns', '--variants', 'baseline', '--samples', '1', '--out', next];
      expect((await start(['bench', 'memcached', ...short, ...args])).exitCode).toBe(0);
      expect(await namespacesOf(pid)).toEqual([]);
    },
  );
});

describe('a run that is taken up again', () => {
  const args = ['--topology', 'loopback', '--variants', 'baseline', '--samples', '3'];

  testUnless(notBuilt)('takes the samples that are missing, and is complete then', async () => {
    const file = resultsFile();
    const bench = start(['bench', 'memcached', ...short, ...args, '--out', file]);
    await until('a sample is there', () => existsSync(file) && runOf(file).samples.length > 0);
    bench.kill('SIGINT');
    expect((await bench).stderr).toContain(`npx megapipe bench --resume ${file}`);
    const before = runOf(file);
    expect(before.end?.outcome).toBe('interrupted');
    const { all, exitCode } = await start(['bench', '--no-setup', '--resume', file]);
    expect(exitCode, all).toBe(0);
    const { samples, end, resumed } = runOf(file);
    expect(samples.slice(0, before.samples.length)).toEqual(before.samples);
    expect(samples.filter(({ kind }) => kind === 'timed').map(({ round }) => round)).toEqual([0, 1, 2]);
    expect({ outcome: end?.outcome, resumed }).toEqual({ outcome: 'complete', resumed: 1 });
    const again = await start(['bench', '--no-setup', '--resume', file]);
    expect(again.exitCode).toBe(0);
    expect(again.stderr).toContain('is left to measure');
  });

  testUnless(notBuilt)('is refused where what it measures is another', async () => {
    const file = resultsFile();
    const bench = start(['bench', 'memcached', ...short, ...args, '--out', file]);
    await until('a sample is there', () => existsSync(file) && runOf(file).samples.length > 0);
    bench.kill('SIGINT');
    await bench;
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace(/"cpuModel":"[^"]*"/, '"cpuModel":"Abacus"'));
    const { stderr, exitCode } = await start(['bench', '--no-setup', '--resume', file]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${file} was measured with another cpuModel`);
  });
});

describe('what cannot be done', () => {
  test.each([
    [['bench', 'postfix'], 'postfix'],
    [['bench', '--engines', 'select'], 'select'],
    [['bench', '--variants', 'uring+X'], 'uring+X'],
    [['bench', '--topology', 'moon'], 'moon'],
    [['bench', 'memcached', '--requests-per-connection', '1,0'], '"0"'],
    [['bench', 'memcached', '--message-sizes', '64'], '--message-sizes'],
    [['bench', 'memcached', '--connections', '0'], '"0"'],
    [['bench', 'memcached', '--rates', 'fast'], '"fast"'],
    [['bench', 'nginx', '--requests-per-connection', '1'], '--requests-per-connection'],
    [['bench', '--full', '--resume', 'some.ndjson'], '--resume'],
    [['bench', 'nginx', '--workloads', 'etc'], 'etc'],
    [['bench', 'nginx', '--cores', '9999'], '9999'],
    [['bench', '--workloads', 'etc'], 'etc'],
    [['bench', '--samples', '1.5'], '--samples 1.5'],
    [['bench', '--duration', 'long'], '--duration long'],
    [['bench', '--budget', '8'], '--budget 8'],
    [['bench', '--budget', '8m', '--samples', '2'], '--samples'],
    [['bench', '--quick', '--full'], '--full'],
    [['serve', 'postfix'], 'postfix'],
    [['serve', 'memcached', '--port', '70000'], '--port 70000'],
    [['serve', 'memcached', '--variant', 'reuseport'], 'reuseport'],
    [['serve', 'nginx', '--workloads', 'etc'], 'etc'],
    [['serve', 'nginx', '--variant', 'reuseport', '--engine', 'uring'], '--engine'],
    [['serve', 'memcached', '--threads', '0'], '--threads 0'],
    [['serve', 'memcached', '--cpus', '0-9999'], '--cpus 0-9999'],
    [['serve', 'memcached', '--engine', 'select'], 'select'],
    [['serve', 'memcached', '--batch', '-3'], '--batch -3'],
    [['serve', 'memcached', '--variant', 'baseline', '--engine', 'uring'], '--engine'],
  ])('%j is refused by name, with status 2, before anything is measured', async (args, named) => {
    const { stdout, stderr, exitCode } = await megapipe(args);
    expect(exitCode).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^megapipe: /);
    expect(stderr).toContain(named);
  });

  testUnless(notBuilt)('results are never written over', async () => {
    const file = resultsFile();
    const args = ['--topology', 'loopback', '--variants', 'baseline', '--samples', '1', '--out', file];
    expect((await start(['bench', 'memcached', ...short, ...args])).exitCode).toBe(0);
    const before = readFileSync(file, 'utf8');
    const { stderr, exitCode } = await start(['bench', 'memcached', ...short, ...args]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`${file} exists already`);
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  const hasModule = existsSync('/dev/megapipe') ? 'the kernel engine works here' : undefined;
  testUnless(notBuilt ?? hasModule)(
    'an engine asked for by name that does not work is an error',
    async () => {
      const file = resultsFile();
      const { stderr, exitCode } = await start([
        'bench',
        'memcached',
        ...short,
        '--engines',
        'kernel',
        '--out',
        file,
      ]);
      expect(exitCode).toBe(1);
      expect(stderr).toContain('variant kernel+PBL does not work here');
    },
  );
});
