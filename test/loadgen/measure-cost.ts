/**
 * Client CPU time a request: the load engine beside the cheapest client that can be written on libmegapipe
 * (loadgen/native/cheapest.c), interleaved, each with one thread on the first CPU; the server has the second. Run:
 * npx vite-node test/loadgen/measure-cost.ts [memcached|http]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { execa } from 'execa';
import { median } from 'simple-statistics';
import { z } from 'zod';
import { createFileSet } from '../../loadgen/file-set.js';
import { workload } from '../../loadgen/workloads.js';
import { buildDir } from '../../src/base/paths.js';
import { load, loadHttp } from './loadgen.js';
import { startMemcached } from './stock-memcached.js';
import { startNginx } from './stock-nginx.js';

const rounds = Number(process.env.ROUNDS ?? 9);
const seconds = Number(process.env.SECONDS ?? 1.5);

/** A server, a client of ours for it, and the request that the cheapest client sends over and over. */
type Subject = {
  address: string;
  request: string;
  answerBytes: number;
  ours(args: string[]): Promise<{ cpuSeconds: number; requests: number }>;
  stop(): Promise<void>;
};

const cpuOf = ({ clientCpu }: { clientCpu: { userSeconds: number; systemSeconds: number } }) =>
  clientCpu.userSeconds + clientCpu.systemSeconds;

async function memcached(): Promise<Subject> {
  const valueSize = 1024;
  const key = '0-1-'.padEnd(64, 'k');
  const server = await startMemcached(['-t', '1']);
  await execa('taskset', ['-apc', '1', String(server.pid)]);
  const one = [
    '--server',
    server.address,
    '--keys',
    '1',
    '--get-set',
    '1:0',
    '--value-size',
    String(valueSize),
  ];
  return {
    address: server.address,
    request: `get ${key}\r\n`,
    answerBytes: `VALUE ${key} 0 ${valueSize}\r\n\r\nEND\r\n`.length + valueSize,
    async ours(args) {
      const result = await load([...one, ...args]);
      if (result.requests.misses > 0) throw new Error('the key was not there');
      return { cpuSeconds: cpuOf(result), requests: result.requests.total };
    },
    stop: server.stop,
  };
}

/** How many bytes an answer has: its head and its body. */
function answerBytes(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.end(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`),
    );
    let bytes = 0;
    socket.on('data', (data) => {
      bytes += data.length;
    });
    socket.on('end', () => resolve(bytes)).on('error', reject);
  });
}

/** Every request is for specweb's median file; the load engine checks every byte, and its CRC-32 with CRC=1. */
async function http(): Promise<Subject> {
  const files = mkdtempSync(join(tmpdir(), 'megapipe-cost-'));
  await execa('chmod', ['755', files]);
  await createFileSet(workload('specweb'), files);
  const server = await startNginx({ root: files });
  await execa('taskset', ['-apc', '1', ...(await workersOf(server.pid))]);
  const path = '/specweb/0128';
  return {
    address: `127.0.0.1:${server.port}`,
    request: `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`,
    answerBytes: await answerBytes(server.port, path),
    async ours(args) {
      const expected = ['--expect-status', '200'];
      const result = await loadHttp([`${server.url}${path}`, ...expected, ...args]);
      if (result.requests.verified < result.requests.total) throw new Error('answers were wrong');
      return { cpuSeconds: cpuOf(result), requests: result.requests.total };
    },
    async stop() {
      await server.stop();
      rmSync(files, { recursive: true, force: true });
    },
  };
}

async function workersOf(pid: number): Promise<string[]> {
  const { stdout } = await execa('pgrep', ['-P', String(pid)]);
  return stdout.split('\n');
}

async function ours(subject: Subject, engine: string, perConnection: string): Promise<number> {
  const { cpuSeconds, requests } = await subject.ours([
    ...['--engine', engine, '--requests-per-connection', perConnection, '--threads', '1', '--cpus', '0'],
    ...['--warmup', '0.5', '--duration', String(seconds)],
  ]);
  return (cpuSeconds * 1e6) / requests;
}

const cheapestOutput = z.object({ requests: z.number(), cpuSeconds: z.number() });

async function cheapest(subject: Subject, engine: string, perConnection: string): Promise<number> {
  const [host = '', port = ''] = subject.address.split(':');
  const limit = perConnection === 'unlimited' ? '0' : perConnection;
  const what = [subject.request, String(subject.answerBytes)];
  const args = [host, port, engine, '256', limit, String(seconds), '0', ...what];
  const { stdout } = await execa(join(buildDir, 'loadgen/cheapest'), args);
  const { requests, cpuSeconds } = cheapestOutput.parse(JSON.parse(stdout));
  return (cpuSeconds * 1e6) / requests;
}

async function compare(subject: Subject, engine: string, perConnection: string): Promise<string[]> {
  const samples: { ours: number; cheapest: number }[] = [];
  for (let i = 0; i < rounds; i++) {
    const first = await ours(subject, engine, perConnection);
    samples.push({ ours: first, cheapest: await cheapest(subject, engine, perConnection) });
  }
  const mine = median(samples.map((sample) => sample.ours));
  const theirs = median(samples.map((sample) => sample.cheapest));
  const ratio = median(samples.map((sample) => sample.ours / sample.cheapest));
  // Other work on the machine only ever adds: the lowest of each is the least disturbed.
  const lowest = Math.min(...samples.map((s) => s.ours)) / Math.min(...samples.map((s) => s.cheapest));
  return [engine, perConnection, mine.toFixed(2), theirs.toFixed(2), ratio.toFixed(3), lowest.toFixed(3)];
}

const subjects: Record<string, () => Promise<Subject>> = { memcached, http };
const name = process.argv[2] ?? 'memcached';
const subject = await subjects[name]?.();
if (!subject) throw new Error(`which server? ${Object.keys(subjects).join(' or ')}`);
const head = [
  'engine',
  'requests a connection',
  'load engine, us',
  'cheapest, us',
  'ratio (median of pairs)',
  'ratio of the lowest',
];
const table = new Table({ head, style: { head: [], border: [] } });
try {
  for (const engine of ['epoll', 'uring']) {
    for (const perConnection of ['1', '8', 'unlimited'])
      table.push(await compare(subject, engine, perConnection));
  }
} finally {
  await subject.stop();
}
console.log(`CPU time of the client a request, ${name}, ${rounds} pairs\n${table.toString()}`);
