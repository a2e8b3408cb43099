/**
 * Client CPU time a request: the load engine beside the cheapest client that can be written on libmegapipe
 * (loadgen/native/cheapest.c), interleaved, each with one thread on the first CPU. Run: npx vite-node test/loadgen/measure-cost.ts
 */
import { join } from 'node:path';
import Table from 'cli-table3';
import { execa } from 'execa';
import { median } from 'simple-statistics';
import { z } from 'zod';
import { buildDir } from '../../src/paths.js';
import { load } from './loadgen.js';
import { startMemcached } from './stock-memcached.js';

const rounds = Number(process.env.ROUNDS ?? 9);
const seconds = Number(process.env.SECONDS ?? 1.5);
const valueSize = 1024;
const key = '0-1-'.padEnd(64, 'k');

const cheapestOutput = z.object({ requests: z.number(), cpuSeconds: z.number() });

/** Both send gets of the one key there is. */
async function ours(address: string, engine: string, perConnection: string): Promise<number> {
  const result = await load([
    ...['--server', address, '--engine', engine, '--requests-per-connection', perConnection],
    ...[
      '--threads',
      '1',
      '--cpus',
      '0',
      '--keys',
      '1',
      '--get-set',
      '1:0',
      '--value-size',
      String(valueSize),
    ],
    ...['--warmup', '0.5', '--duration', String(seconds)],
  ]);
  if (result.requests.misses > 0) throw new Error('the key was not there');
  return ((result.clientCpu.userSeconds + result.clientCpu.systemSeconds) * 1e6) / result.requests.total;
}

async function cheapest(address: string, engine: string, perConnection: string): Promise<number> {
  const [host = '', port = ''] = address.split(':');
  const limit = perConnection === 'unlimited' ? '0' : perConnection;
  const args = [host, port, engine, '256', limit, String(seconds), '0', key, String(valueSize)];
  const { stdout } = await execa(join(buildDir, 'loadgen/cheapest'), args);
  const { requests, cpuSeconds } = cheapestOutput.parse(JSON.parse(stdout));
  return (cpuSeconds * 1e6) / requests;
}

async function compare(address: string, engine: string, perConnection: string): Promise<string[]> {
  const samples: { ours: number; cheapest: number }[] = [];
  for (let i = 0; i < rounds; i++) {
    const first = await ours(address, engine, perConnection);
    samples.push({ ours: first, cheapest: await cheapest(address, engine, perConnection) });
  }
  const mine = median(samples.map((sample) => sample.ours));
  const theirs = median(samples.map((sample) => sample.cheapest));
  const ratio = median(samples.map((sample) => sample.ours / sample.cheapest));
  // Other work on the machine only ever adds: the lowest of each is the least disturbed.
  const lowest = Math.min(...samples.map((s) => s.ours)) / Math.min(...samples.map((s) => s.cheapest));
  return [engine, perConnection, mine.toFixed(2), theirs.toFixed(2), ratio.toFixed(3), lowest.toFixed(3)];
}

const server = await startMemcached(['-t', '1']);
const head = [
  'engine',
  'requests a connection',
  'load engine, us',
  'cheapest, us',
  'ratio (median of pairs)',
  'ratio of the lowest',
];
const table = new Table({ head });
try {
  for (const engine of ['epoll', 'uring']) {
    for (const perConnection of ['1', '8', 'unlimited'])
      table.push(await compare(server.address, engine, perConnection));
  }
} finally {
  await server.stop();
}
console.log(`CPU time of the client a request, ${rounds} pairs\n${table.toString()}`);
