import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { allowedCpus } from '../../src/base/cpus.js';
import { readChannels } from '../../src/bench/application/memcached/channels.js';
import { isDisturbed, othersShare } from '../../src/bench/others-share.js';
import {
  cpusBetween,
  cpuUsBetween,
  parseCpus,
  parseTickedUs,
  readCpus,
  readProcessTime,
} from '../../src/host/cpu-time.js';
import type { CpuUse } from '../../src/results/schema.js';

describe('CPU time of a process', () => {
  test('is read past a name with brackets and spaces', () => {
    const fields = Array.from({ length: 50 }, (_, index) => index + 3);
    expect(parseTickedUs(`42 (a) b (c) ${fields.join(' ')}`)).toBe((14 + 15) * 10_000);
  });

  test('grows by what the process uses', () => {
    const before = readProcessTime(process.pid);
    const { user, system } = process.cpuUsage();
    while (process.cpuUsage({ user, system }).user < 300_000);
    const used = cpuUsBetween(before, readProcessTime(process.pid));
    expect(used).toBeGreaterThan(200_000);
  });

  test('is that of its tasks, new ones too, and finer than a tick', () => {
    const before = { tasksUs: new Map([[1, 5000.5]]), tickedUs: 0 };
    const tasksUs = new Map([
      [1, 6001],
      [2, 300],
    ]);
    expect(cpuUsBetween(before, { tasksUs, tickedUs: 20_000 })).toBe(1300.5);
  });

  test('is that of its ticks where a task ended, whose time they still have', () => {
    const before = {
      tasksUs: new Map([
        [1, 5000],
        [2, 5000],
      ]),
      tickedUs: 10_000,
    };
    expect(cpuUsBetween(before, { tasksUs: new Map([[1, 7000]]), tickedUs: 100_000 })).toBe(90_000);
  });

  test('has what a task used that has ended since', async () => {
    const before = readProcessTime(process.pid);
    const burn = 'const a = process.cpuUsage().user; while (process.cpuUsage().user - a < 300_000);';
    await once(new Worker(burn, { eval: true }), 'exit');
    expect(cpuUsBetween(before, readProcessTime(process.pid))).toBeGreaterThan(280_000);
  });
});

describe('the time of CPUs', () => {
  test('is read from the kernel’s table, waiting for disks as idle', () => {
    const [cpu] = parseCpus('cpu  9 9 9 9 9 9 9 9 0 0\ncpu3 1 2 3 4 5 6 7 8 0 0\nintr 1\n');
    expect(cpu).toEqual({
      cpu: 3,
      userUs: 30_000,
      systemUs: 30_000,
      irqUs: 60_000,
      softirqUs: 70_000,
      idleUs: 90_000,
      stealUs: 80_000,
    });
  });

  test('between two readings never is negative', () => {
    const [before] = parseCpus('cpu0 10 0 0 100 0 0 0 0 0 0');
    const [after] = parseCpus('cpu0 30 0 0 99 0 0 0 0 0 0');
    expect(cpusBetween([before as never], [after as never])[0]).toMatchObject({ userUs: 200_000, idleUs: 0 });
  });

  test('is there for every CPU of this machine', () => {
    const cpus = readCpus().map(({ cpu }) => cpu);
    expect(cpus).toEqual(expect.arrayContaining(allowedCpus()));
  });

  test('of a busy process shows on the CPU where it is pinned', () => {
    const cpu = allowedCpus()[0] as number;
    const before = readCpus();
    // However long it takes to get so much of the CPU.
    spawnSync('taskset', ['-c', String(cpu), 'perl', '-e', 'do { $i++ for 1..1e5 } while (times)[0] < 0.5']);
    const used = cpusBetween(before, readCpus()).find((one) => one.cpu === cpu);
    expect(used?.userUs).toBeGreaterThan(100_000);
  });
});

describe('the share that others had of the CPUs', () => {
  const cpu = (change: Partial<CpuUse>): CpuUse => ({
    cpu: 0,
    userUs: 0,
    systemUs: 0,
    irqUs: 0,
    softirqUs: 0,
    idleUs: 0,
    stealUs: 0,
    ...change,
  });
  const since = [cpu({}), cpu({ cpu: 1 })];
  const window = { since, sampledUs: 1000, cpus: [0, 1] };

  test('is what was neither idle nor ours, of the CPUs that the sample runs on', () => {
    const spent = [cpu({ idleUs: 200 }), cpu({ cpu: 1 }), cpu({ cpu: 2, userUs: 1000 })];
    expect(othersShare({ ...window, spent, oursUs: 1500 })).toBeCloseTo(0.15);
    expect(othersShare({ ...window, spent, oursUs: 1900 })).toBe(0);
    expect(othersShare({ ...window, spent, oursUs: 1800 - 1000, cpus: [0] })).toBe(0);
  });

  test('does not hold interrupts that are kept apart: the packets are ours', () => {
    const spent = [cpu({ softirqUs: 300 }), cpu({ cpu: 1, softirqUs: 300 })];
    expect(othersShare({ ...window, spent, oursUs: 1400 })).toBeCloseTo(0.3);
    const apart = [cpu({ irqUs: 10_000 }), cpu({ cpu: 1 })];
    expect(othersShare({ ...window, since: apart, spent, oursUs: 1400 })).toBe(0);
  });

  test('makes a sample a disturbed one above a tenth', () => {
    expect([0, 0.1, 0.11].map(isDisturbed)).toEqual([false, false, true]);
  });
});

describe('a server’s word on its channels', () => {
  const stats = (changes: Record<string, string> = {}) =>
    Object.entries({
      enabled: 'yes',
      '0:engine': 'epoll',
      '0:crossings': '1',
      engine: 'uring',
      partition: 'yes',
      batch: '32',
      lwsocket: 'no',
      requests: '1000',
      crossings: '40',
      batch_max: '32',
      moderation_us: '50',
      ...changes,
    })
      .map(([name, value]) => `STAT ${name} ${value}\r\n`)
      .join('');

  test('is read from the sums, not from a worker', () => {
    expect(readChannels(`${stats()}END\r\n`)).toEqual({
      engine: 'uring',
      techniques: ['partition', 'batch'],
      batch: 32,
      moderationUs: 50,
      operations: 1000,
      crossings: 40,
      largestBatch: 32,
    });
  });

  test('does not take a threshold of 1 for batching', () => {
    expect(readChannels(stats({ batch: '1' }))?.techniques).toEqual(['partition']);
  });

  test('is nothing where there are none', () => {
    expect(readChannels('END\r\n')).toBeNull();
    expect(readChannels('STAT enabled no\r\nEND\r\n')).toBeNull();
  });

  test('that lacks a number is refused by its name', () => {
    expect(() => readChannels(stats().replace('STAT crossings 40\r\n', ''))).toThrow('has no crossings');
  });
});
