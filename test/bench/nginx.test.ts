import { readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { workload } from '../../loadgen/workloads.js';
import { whyNoTracing } from '../../src/bench/trace.js';
import { freePort } from '../../src/host/free-port.js';
import { processTree } from '../../src/host/process-tree.js';
import { whyNoTopology } from '../../src/host/topology.js';
import { readResults } from '../../src/results/file.js';
import { testUnless } from '../skip.js';
import { until } from '../waiting.js';
import {
  areLoaded,
  childrenOf,
  isRunning,
  measuringIn,
  newResults,
  nginxNotBuilt,
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

const noTracing = await whyNoTracing();
const noSharedHosts = nginxNotBuilt ?? (await whyNoTopology('netns-shared'));

/** One workload, as short as a sample can be. */
const short = ['bench', 'nginx', '--no-setup', '--workloads', 'specweb', '--duration', '1'];

/** Folders of a process's servers and of what they serve. */
function foldersOf(pid: number): string[] {
  return [tmpdir(), '/dev/shm']
    .flatMap((parent) => readdirSync(parent))
    .filter((name) => name.startsWith(`megapipe-folder-${pid}-`));
}

/** All processes of a bench's server, once it is loaded. */
async function serverUnderLoad(measuring: number): Promise<number[]> {
  let server: number[] = [];
  await until('a server is loaded', () => {
    const master = childrenOf(measuring).find(({ command }) => command.includes('nginx: master'));
    server = processTree(master?.pid ?? 0).map(({ pid }) => pid);
    return areLoaded(server);
  });
  return server;
}

describe('a run of nginx', () => {
  testUnless(nginxNotBuilt)('measures both kinds of stock I/O and MegaPipe, and reports', async () => {
    const file = resultsFile();
    const args = ['--topology', 'loopback', '--variants', 'reuseport,epoll+PBL', '--samples', '1'];
    const { stdout, all, exitCode } = await start([...short, ...args, '--out', file]);
    expect(exitCode, all).toBe(0);
    const { samples, machine, end } = runOf(file);
    expect(end?.outcome).toBe('complete');
    expect(machine.workload).toMatchObject({ application: 'nginx' });
    expect(machine.workload.parameters.files).toContain(`${workload('specweb').sizes.length}, `);
    const timed = samples.filter(({ kind }) => kind === 'timed');
    expect(timed.map(({ variant, status }) => [variant.id, status])).toEqual([
      ['baseline', 'ok'],
      ['reuseport', 'ok'],
      ['epoll+PBL', 'ok'],
    ]);
    for (const sample of timed) {
      if (sample.status !== 'ok') throw new Error(sample.reason);
      expect(sample.point).toMatchObject({ workload: 'specweb', requestsPerConnection: null });
      expect(sample.measured.requests).toBeGreaterThan(0);
      // The workers' time: the master's alone is next to none.
      expect(sample.measured.serverCpuUs).toBeGreaterThan(0);
      // Six requests a connection; those that the window cut have some of theirs outside it.
      expect(sample.measured.requests / sample.measured.connections).toBeLessThan(12);
    }
    expect(stdout).toContain('epoll+PBL against stock I/O: ');
  });

  testUnless(nginxNotBuilt ?? noTracing)('counts the system calls of the workers', async () => {
    const file = resultsFile();
    const args = ['--topology', 'loopback', '--variants', 'baseline', '--samples', '1'];
    expect((await start([...short, ...args, '--out', file])).exitCode).toBe(0);
    const traced = runOf(file).samples.find(({ kind }) => kind === 'traced');
    if (traced?.status !== 'ok') throw new Error('the traced sample failed');
    // Each request is at least received and sent.
    expect((traced.systemCalls as number) / traced.measured.requests).toBeGreaterThan(1.5);
  });

  testUnless(noSharedHosts)('puts the server on as many cores as the point has', async () => {
    const file = resultsFile();
    const args = ['--topology', 'netns-shared', '--cores', '1', '--variants', 'baseline'];
    const bench = start([...short, ...args, '--samples', '1', '--duration', '5', '--out', file]);
    const server = await serverUnderLoad(await measuringIn(bench.pid as number));
    expect(server).toHaveLength(2);
    const { all, exitCode } = await bench;
    expect(exitCode, all).toBe(0);
    expect(runOf(file).samples[0]).toMatchObject({ status: 'ok', point: { cores: 1 } });
  });

  testUnless(nginxNotBuilt)('fails a sample whose worker died, and shows nginx’s log of it', async () => {
    const file = resultsFile();
    const args = ['--topology', 'loopback', '--variants', 'baseline', '--samples', '2'];
    const bench = start([...short, ...args, '--duration', '5', '--out', file]);
    const [, worker] = await serverUnderLoad(await measuringIn(bench.pid as number));
    process.kill(worker as number, 'SIGKILL');
    expect((await bench).exitCode).toBe(0);
    const { samples } = runOf(file);
    const reasons = samples.flatMap((sample) => (sample.status === 'failed' ? [sample.reason] : []));
    expect(reasons).toEqual([expect.stringMatching(/its log: .*worker process \d+ exited on signal 9/)]);
    expect(samples.filter(({ status }) => status === 'ok').length).toBeGreaterThan(0);
  });
});

describe('an interrupted run of nginx', () => {
  const endless = (file: string) => [
    ...[...short, '--topology', 'loopback', '--variants', 'baseline'],
    ...['--samples', '50', '--duration', '5', '--out', file],
  ];

  testUnless(nginxNotBuilt)('leaves no process and no folder', async () => {
    const bench = start(endless(resultsFile()));
    const pid = await measuringIn(bench.pid as number);
    const server = await serverUnderLoad(pid);
    expect(foldersOf(pid)).not.toEqual([]);
    bench.kill('SIGINT');
    expect((await bench).signal).toBe('SIGINT');
    expect(server.filter(isRunning)).toEqual([]);
    expect(foldersOf(pid)).toEqual([]);
  });

  testUnless(nginxNotBuilt)(
    'that was killed outright takes its workers with it; the next run removes its folders',
    async () => {
      const bench = start(endless(resultsFile()));
      const pid = await measuringIn(bench.pid as number);
      const server = await serverUnderLoad(pid);
      process.kill(pid, 'SIGKILL');
      await bench;
      await expect.poll(() => server.filter(isRunning)).toEqual([]);
      expect(foldersOf(pid)).not.toEqual([]);
      const args = ['--topology', 'loopback', '--variants', 'baseline', '--samples', '1'];
      expect((await start([...short, ...args, '--out', resultsFile()])).exitCode).toBe(0);
      expect(foldersOf(pid)).toEqual([]);
    },
  );
});

describe('a run of all applications', () => {
  const args = [
    ...['bench', '--no-setup', '--topology', 'loopback', '--variants', 'baseline,reuseport'],
    ...['--requests-per-connection', '10', '--workloads', 'specweb', '--samples', '1', '--duration', '1'],
  ];

  testUnless(notBuilt ?? nginxNotBuilt)(
    'is one file and one page, and takes to each what is its',
    async () => {
      const file = resultsFile();
      const { stdout, all, exitCode } = await start([...args, '--tables', '--out', file]);
      expect(exitCode, all).toBe(0);
      const runs = readResults(file);
      expect(runs.map(({ machine }) => machine.workload.application)).toEqual(['echo', 'memcached', 'nginx']);
      expect(runs.map(({ end }) => end?.outcome)).toEqual(['complete', 'complete', 'complete']);
      const variantsOf = ({ samples }: (typeof runs)[number]) =>
        new Set(samples.map(({ variant }) => variant.id));
      expect(runs.map((run) => [...variantsOf(run)])).toEqual([
        ['baseline', 'reuseport'],
        ['baseline'],
        ['baseline', 'reuseport'],
      ]);
      expect(stdout.match(/One host \(loopback\): .*\n┌/g)).toHaveLength(3);
      expect(stdout.match(/^report: /gm)).toHaveLength(1);
    },
  );
});

describe('megapipe serve nginx', () => {
  async function serving(args: string[]) {
    const port = await freePort();
    const server = start(['serve', 'nginx', '--port', String(port), '--workloads', 'specweb', ...args]);
    const get = (path: string) =>
      fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(60_000) });
    const statusOf = () =>
      get('/')
        .then(({ status }) => status)
        .catch(() => 0);
    const ended = server.then(({ all }) => {
      throw new Error(`the server has ended: ${all}`);
    });
    await Promise.race([expect.poll(statusOf).toBe(204), ended]);
    ended.catch(() => undefined);
    return { server, get };
  }

  testUnless(nginxNotBuilt)('serves the workloads’ files over the variant that was asked for', async () => {
    for (const args of [
      ['--variant', 'reuseport'],
      ['--engine', 'epoll', '--no-partition'],
    ]) {
      const { server, get } = await serving(args);
      const pid = server.pid as number;
      const answer = await get('/specweb/0000');
      expect(answer.status).toBe(200);
      expect((await answer.arrayBuffer()).byteLength).toBe(workload('specweb').sizes[0]);
      const processes = processTree(pid).map((one) => one.pid);
      expect(processes.length).toBeGreaterThanOrEqual(3);
      server.kill('SIGTERM');
      const { exitCode, stderr } = await server;
      expect(exitCode).toBe(0);
      expect(stderr).toContain(args[1]);
      expect(processes.filter(isRunning)).toEqual([]);
      expect(foldersOf(pid)).toEqual([]);
    }
  });

  test.each([[['--port', '0']], [['--threads', '0']]])('%j is refused', async (args) => {
    const { exitCode, stderr } = await start(['serve', 'nginx', ...args]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(args[0]);
  });
});
