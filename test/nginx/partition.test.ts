import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { execa } from 'execa';
import { describe, expect } from 'vitest';
import { testUnless } from '../skip.js';
import type { Config } from './config.js';
import { describeEngines } from './kinds.js';
import { type Nginx, start } from './server.js';
import { until } from './waiting.js';

const cpus = availableParallelism();
const server = 'location / { return 200 "$pid"; }';

/** How many sockets listen on a port of 127.0.0.1. */
function queues(port: number): number {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n');
  return lines.filter((line) => line.includes(` ${local} `) && / 0A /.test(line)).length;
}

/** On which CPUs a process may run. */
function allowedCpus(pid: number): string {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] as string;
}

const workersCpus = (nginx: Nginx) => nginx.workers().map(allowedCpus);

/** Who answers, when all connections come in on one CPU: enough for a worker to notice, and for all to get some. */
async function answeringFromOneCpu(nginx: Nginx): Promise<Set<string>> {
  const connections = 300 + 40 * cpus;
  const script =
    `use IO::Socket::INET; for (1 .. ${connections}) { ` +
    `my $s = IO::Socket::INET->new("127.0.0.1:${nginx.port}") or die $!; ` +
    'print $s "GET / HTTP/1.0\\r\\n\\r\\n"; my @lines = <$s>; print "$lines[-1]\\n"; }';
  const cpu = /^\d+/.exec(allowedCpus(process.pid))?.[0] as string;
  const { stdout } = await execa('taskset', ['-c', cpu, 'perl', '-e', script]);
  return new Set(stdout.split('\n'));
}

type Row = { name: string; config: Config; queues: number; isPinned?: boolean };

const byDefault = { server, partition: 'default' } as const;
const rows: Row[] = [
  { name: 'one worker', config: byDefault, queues: 1 },
  { name: 'a worker a CPU', config: { ...byDefault, workers: cpus }, queues: cpus },
  { name: 'more workers than CPUs', config: { ...byDefault, workers: cpus + 3 }, queues: cpus + 3 },
  {
    name: 'masks of several CPUs',
    config: { ...byDefault, workers: cpus, main: `worker_cpu_affinity ${'1'.repeat(cpus)};` },
    queues: 1,
  },
  {
    name: 'worker_cpu_affinity auto',
    config: { ...byDefault, workers: cpus, main: 'worker_cpu_affinity auto;' },
    queues: cpus,
    isPinned: true,
  },
  { name: 'megapipe_partition off', config: { server, workers: cpus }, queues: 1 },
];

describeEngines((kind) => {
  const missing = cpus > 1 ? undefined : 'needs two CPUs';

  describe('without a word of megapipe_partition', () => {
    for (const { name, config, queues: expected, isPinned = false } of rows) {
      testUnless(missing)(`${name}: ${expected} queues`, async () => {
        const nginx = await start(kind, config);
        expect(queues(nginx.port)).toBe(expected);
        const lists = workersCpus(nginx);
        if (isPinned) expect(new Set(lists).size).toBe(cpus);
        else expect(new Set(lists)).toEqual(new Set([allowedCpus(nginx.master())]));
        expect((await fetch(nginx.url)).status).toBe(200);
      });
    }

    testUnless(missing)('fewer CPUs than workers are left by taskset: they are not divided', async () => {
      const nginx = await start(kind, { ...byDefault, workers: cpus });
      const old = nginx.workers();
      await execa('taskset', ['-cp', '0', String(nginx.master())]);
      nginx.signal('SIGHUP');
      await until('only new workers serve', () => {
        const workers = nginx.workers();
        return workers.length === cpus && !workers.some((pid) => old.includes(pid));
      });
      expect(queues(nginx.port)).toBe(1);
      expect(new Set(workersCpus(nginx))).toEqual(new Set(['0']));
      expect((await fetch(nginx.url)).status).toBe(200);
    });

    testUnless(missing)('connections that all come in on one CPU go to all workers', async () => {
      const nginx = await start(kind, { ...byDefault, workers: cpus });
      expect((await answeringFromOneCpu(nginx)).size).toBe(cpus);
      expect(nginx.errorLog()).toMatch(/\[notice\].*worker \d+ gets more connections than others/);
    });
  });

  testUnless(missing)('`megapipe_partition on` leaves them to the worker of that CPU', async () => {
    const nginx = await start(kind, { server, workers: cpus, partition: true });
    expect((await answeringFromOneCpu(nginx)).size).toBe(1);
  });
});
