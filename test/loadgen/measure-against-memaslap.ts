/**
 * Requests a second, as memaslap and as we count them, interleaved, on the distribution's memcached: the server has one
 * CPU and the client the other, so that the server limits both alike. Run: npx vite-node test/loadgen/measure-against-memaslap.ts
 */
import Table from 'cli-table3';
import { execa } from 'execa';
import { median } from 'simple-statistics';
import { load } from './loadgen.js';
import { startMemcached } from './stock-memcached.js';

const rounds = Number(process.env.ROUNDS ?? 7);
const seconds = Number(process.env.SECONDS ?? 3);
const concurrency = '128';

type Figures = { rps: number; getShare: number; serverCpuUs: number };
type Stats = Record<string, number>;

/** What the server counted, whoever loaded it. */
async function counted(stats: () => Promise<Stats>, work: () => Promise<number>): Promise<Figures> {
  const before = await stats();
  const rps = await work();
  const after = await stats();
  const since = (name: string) => (after[name] ?? 0) - (before[name] ?? 0);
  const requests = since('cmd_get') + since('cmd_set');
  const cpuUs = since('rusage_user') + since('rusage_system');
  return { rps, getShare: since('cmd_get') / requests, serverCpuUs: cpuUs / requests };
}

async function memaslap(address: string): Promise<number> {
  const args = [
    '-c',
    '0',
    'memcaslap',
    '-s',
    address,
    '-T',
    '1',
    '-c',
    concurrency,
    '-t',
    `${seconds}s`,
    '-w',
    '1k',
  ];
  const { stdout } = await execa('taskset', args);
  const match = /TPS: (\d+)/.exec(stdout);
  if (!match) throw new Error(`memcaslap printed no TPS: ${stdout}`);
  return Number(match[1]);
}

/** As memaslap's: 1,024 keys a connection. */
const workload = ['--concurrency', concurrency, '--keys', String(1024 * Number(concurrency))];

async function ours(address: string, engine: string): Promise<number> {
  const where = ['--server', address, '--engine', engine, '--threads', '1', '--cpus', '0'];
  const window = ['--duration', String(seconds), '--warmup', '0.2', '--no-prefill'];
  const result = await load([...where, ...workload, ...window]);
  if (result.requests.misses > 0) throw new Error('keys are missing');
  return result.throughputRps;
}

const server = await startMemcached(['-t', '1']);
await execa('taskset', ['-apc', '1', String(server.pid)]);
await load(['--server', server.address, ...workload, '--requests', '1']);
const clients: Record<string, () => Promise<number>> = {
  memaslap: () => memaslap(server.address),
  'ours, epoll': () => ours(server.address, 'epoll'),
  'ours, uring': () => ours(server.address, 'uring'),
};
const samples = new Map(Object.keys(clients).map((name) => [name, [] as Figures[]]));
try {
  for (let i = 0; i < rounds; i++) {
    for (const [name, work] of Object.entries(clients)) {
      samples.get(name)?.push(await counted(server.stats, work));
    }
  }
} finally {
  await server.stop();
}
const table = new Table({
  head: ['client', 'requests/s', 'lowest', 'highest', 'gets', 'server CPU us a request'],
});
for (const [name, figures] of samples) {
  const rps = figures.map((f) => f.rps);
  const gets = `${(100 * median(figures.map((f) => f.getShare))).toFixed(1)} %`;
  const cpu = median(figures.map((f) => f.serverCpuUs)).toFixed(2);
  table.push([
    name,
    ...[median(rps), Math.min(...rps), Math.max(...rps)].map((n) => Math.round(n)),
    gets,
    cpu,
  ]);
}
console.log(`${rounds} rounds of ${seconds} s\n${table.toString()}`);
