import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { allowedCpus } from '../../src/base/cpus.js';
import { readResults } from '../../src/results/file.js';
import type { OkSample, Results } from '../../src/results/schema.js';
import { newResults, start } from './running.js';

/** For a shell in a session of its own: to have what this session has of the CPUs, whatever its priority is. */
function asOurs(): string {
  const autogroup = '/proc/self/autogroup';
  const [, nice] = /nice (-?\d+)/.exec(existsSync(autogroup) ? readFileSync(autogroup, 'utf8') : '') ?? [];
  return nice === undefined ? ':' : `echo ${nice} > ${autogroup}`;
}

/** A run of the echo server at one point, whose samples are as short as can be. */
async function measure(options: string[]): Promise<Results> {
  const file = newResults();
  onTestFinished(() => rmSync(dirname(file), { recursive: true }));
  const short = [
    '--no-setup',
    '--topology',
    'loopback',
    '--requests-per-connection',
    '10',
    '--duration',
    '0.1',
  ];
  const { all, exitCode } = await start(['bench', 'echo', ...short, ...options, '--out', file]);
  expect(exitCode, all).toBe(0);
  const [results] = readResults(file);
  return results as Results;
}

const timedOf = ({ samples }: Results) => samples.filter(({ kind }) => kind === 'timed') as OkSample[];

describe('rounds', () => {
  test('are taken until the budget is used up, and some at least; the baseline meets itself in each', async () => {
    const results = await measure(['--variants', 'baseline,epoll+PBL,again', '--budget', '3s']);
    const { plan } = results.machine;
    expect(plan.budgetMs).toBe(3000);
    expect(plan.phases[0]?.headline).toMatchObject({
      variant: 'epoll+PBL',
      again: plan.phases[0]?.points[0],
    });
    expect(results.end?.outcome).toBe('complete');
    const rounds = new Map<number, string[]>();
    for (const { round, variant } of timedOf(results)) {
      rounds.set(round, [...(rounds.get(round) ?? []), variant.id]);
    }
    expect(rounds.size).toBeGreaterThanOrEqual(5);
    for (const ids of rounds.values()) expect(ids.toSorted()).toEqual(['again', 'baseline', 'epoll+PBL']);
    // Not always in the same order.
    expect(new Set([...rounds.values()].map((ids) => ids.join())).size).toBeGreaterThan(1);
  });

  test('have samples taken again that others disturbed, and all attempts on record', async () => {
    const spin = `${asOurs()}; exec taskset -c "$0" perl -e 'alarm 120; 1 while 1'`;
    for (const cpu of allowedCpus()) {
      const spinner = spawn('sh', ['-c', spin, String(cpu)], { detached: true });
      onTestFinished(() => void spinner.kill('SIGKILL'));
    }
    const results = await measure(['--no-priority', '--variants', 'baseline', '--samples', '1']);
    const [last] = timedOf(results);
    expect(last).toMatchObject({ attempt: 3, disturbed: true });
    expect(last?.measured.othersShare).toBeGreaterThan(0.1);
    expect(results.retaken.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });
});
