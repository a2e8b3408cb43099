/**
 * Requests a second, as wrk, autocannon and we count them, interleaved, on stock nginx: its one worker has the second
 * CPU and the client the first, so that where the client keeps up the server limits all alike. Beside it what each
 * costs the server, from outside. Run: npx vite-node test/loadgen/measure-against-wrk.ts
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { execa } from 'execa';
import { median } from 'simple-statistics';
import { z } from 'zod';
import { createFileSet } from '../../loadgen/file-set.js';
import { workload } from '../../loadgen/workloads.js';
import { root } from '../../src/base/paths.js';
import { loadHttp } from './loadgen.js';
import { startNginx } from './stock-nginx.js';

const rounds = Number(process.env.ROUNDS ?? 7);
const seconds = Number(process.env.SECONDS ?? 3);
const connections = '128';
const firstCpu = ['-c', '0'];

type Figures = { rps: number; counted: number; serverCpuUs: number; clientCpuUs: number };
type Client = () => Promise<{ rps: number; cpuSeconds: number }>;

/** A process's CPU time so far; the kernel counts in hundredths. */
function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** A command on the first CPU, and the CPU time that it took. */
async function timed(command: string[]): Promise<{ stdout: string; cpuSeconds: number }> {
  const { stdout, stderr } = await execa('taskset', [
    ...firstCpu,
    'bash',
    '-c',
    'TIMEFORMAT="%U %S"; time "$@"',
    'bash',
    ...command,
  ]);
  const [user, system] = (stderr.trimEnd().split('\n').at(-1) ?? '').split(' ').map(Number);
  return { stdout, cpuSeconds: (user ?? 0) + (system ?? 0) };
}

async function wrk(url: string) {
  const { stdout, cpuSeconds } = await timed(['wrk', '-t', '1', '-c', connections, '-d', `${seconds}s`, url]);
  return { rps: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]), cpuSeconds };
}

async function autocannon(url: string) {
  const program = join(root, 'node_modules/autocannon/autocannon.js');
  const args = ['--json', '-c', connections, '-d', String(seconds), url];
  const { stdout, cpuSeconds } = await timed([process.execPath, program, ...args]);
  const said = z.object({ duration: z.number(), requests: z.object({ total: z.number() }) });
  const { duration, requests } = said.parse(JSON.parse(stdout));
  return { rps: requests.total / duration, cpuSeconds };
}

async function ours(url: string, engine: string) {
  const same = ['--engine', engine, '--threads', '1', '--cpus', '0', '--concurrency', connections];
  const result = await loadHttp([url, ...same, '--duration', String(seconds), '--warmup', '0']);
  const { userSeconds, systemSeconds } = result.clientCpu;
  return { rps: result.throughputRps, cpuSeconds: userSeconds + systemSeconds };
}

const files = mkdtempSync(join(tmpdir(), 'megapipe-wrk-'));
await execa('chmod', ['755', files]);
await createFileSet(workload('specweb'), files);
const server = await startNginx({ root: files });
const { stdout: workers } = await execa('pgrep', ['-P', String(server.pid)]);
const worker = Number(workers.split('\n')[0]);
await execa('taskset', ['-apc', '1', String(worker)]);
const url = `${server.url}/specweb/0128`;

const clients: Record<string, Client> = {
  wrk: () => wrk(url),
  autocannon: () => autocannon(url),
  'ours, epoll': () => ours(url, 'epoll'),
  'ours, uring': () => ours(url, 'uring'),
};
const samples = new Map(Object.keys(clients).map((name) => [name, [] as Figures[]]));
try {
  for (let i = 0; i < rounds; i++) {
    for (const [name, work] of Object.entries(clients)) {
      const before = cpuSecondsOf(worker);
      const { requests, result } = await server.counted(work);
      samples.get(name)?.push({
        rps: result.rps,
        counted: requests,
        serverCpuUs: ((cpuSecondsOf(worker) - before) * 1e6) / requests,
        clientCpuUs: (result.cpuSeconds * 1e6) / requests,
      });
    }
  }
} finally {
  await server.stop();
  rmSync(files, { recursive: true, force: true });
}
const head = [
  'client',
  'requests/s',
  'lowest',
  'highest',
  'server CPU us a request',
  'client CPU us a request',
];
const table = new Table({ head, style: { head: [], border: [] } });
for (const [name, figures] of samples) {
  const rps = figures.map((f) => f.rps);
  const cpu = (of: 'serverCpuUs' | 'clientCpuUs') => median(figures.map((f) => f[of])).toFixed(2);
  const speeds = [median(rps), Math.min(...rps), Math.max(...rps)].map((n) => Math.round(n));
  table.push([name, ...speeds, cpu('serverCpuUs'), cpu('clientCpuUs')]);
}
console.log(`${rounds} rounds of ${seconds} s\n${table.toString()}`);
