import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, onTestFinished } from 'vitest';
import { whyNoTopology } from '../../src/host/topology.js';
import { testUnless } from '../skip.js';
import { until } from '../waiting.js';
import { childrenOf, isRunning, namespacesOf, newResults, notBuilt, runOf, start } from './running.js';

const why = notBuilt ?? (await whyNoTopology('netns-3'));

/** A run on three client hosts, as short as it can be. */
function startRun(samples: number): { file: string; running: ReturnType<typeof start> } {
  const file = newResults();
  onTestFinished(() => rmSync(dirname(file), { recursive: true }));
  const what = ['--topology', 'netns-3', '--variants', 'baseline', '--requests-per-connection', '8'];
  const size = ['--no-setup', '--duration', '2', '--samples', String(samples)];
  const running = start(['bench', 'memcached', ...size, ...what, '--out', file]);
  onTestFinished(() => void running.kill('SIGKILL'));
  return { file, running };
}

/** Until so many processes with this in their command lines run for the run. */
async function untilRun(running: ReturnType<typeof start>, words: string, count: number): Promise<void> {
  const ended = running.then(({ all }) => {
    throw new Error(`the run has ended: ${all}`);
  });
  const there = until(`${count} × ${words}`, () => childrenLike(running, words).length === count);
  // The loser has nobody to hear it.
  for (const one of [there, ended]) one.catch(() => undefined);
  await Promise.race([there, ended]);
}

/** What runs of a command line for the run. */
function childrenLike(running: ReturnType<typeof start>, words: string) {
  return childrenOf(running.pid as number).filter(({ command }) => command.includes(words));
}

describe('three client hosts', () => {
  testUnless(why)('load one server together, sample after sample', async () => {
    const { file, running } = startRun(2);
    await untilRun(running, ' agent --nats', 3);
    const agents = childrenLike(running, ' agent --nats');
    const { exitCode, all } = await running;
    expect(exitCode, all).toBe(0);
    const { machine, samples } = runOf(file);
    expect(machine.topologies[0]?.clients).toHaveLength(3);
    for (const sample of samples) {
      if (sample.status !== 'ok') throw new Error(sample.reason);
      expect(sample.measured.requests).toBeGreaterThan(0);
      expect(sample.measured.clientCpuUs).toBeGreaterThan(0);
      expect(sample.measured.windowUs).toBeGreaterThan(
        1_990_000 - (sample.kind === 'traced' ? 1_000_000 : 0),
      );
    }
    expect(samples.filter(({ kind }) => kind === 'timed')).toHaveLength(2);
    expect(agents.filter(({ pid }) => isRunning(pid))).toEqual([]);
    expect(await namespacesOf(running.pid as number)).toEqual([]);
  });

  testUnless(why)('cost one sample when an agent dies, and go on with new agents', async () => {
    const { file, running } = startRun(2);
    await untilRun(running, ' load memcached', 1);
    const [agent] = childrenLike(running, ' agent --nats');
    process.kill(agent?.pid as number, 'SIGKILL');
    const { all } = await running;
    const timed = runOf(file).samples.filter(({ kind }) => kind === 'timed');
    expect(
      timed.map(({ status }) => status),
      all,
    ).toEqual(['failed', 'ok']);
    expect(timed[0]).toMatchObject({
      reason: expect.stringMatching(/client\d.*it is gone|2 free agents answer/),
    });
  });

  testUnless(why)('leave nothing behind at Ctrl-C', async () => {
    const { running } = startRun(50);
    await untilRun(running, ' load memcached', 1);
    const children = childrenOf(running.pid as number);
    expect(children.filter(({ command }) => command.includes('nats-server'))).toHaveLength(1);
    running.kill('SIGINT');
    await running;
    expect(children.filter(({ pid }) => isRunning(pid))).toEqual([]);
    expect(await namespacesOf(running.pid as number)).toEqual([]);
  });
});
