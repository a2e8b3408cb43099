import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, onTestFinished } from 'vitest';
import { whyNoTopology } from '../../src/host/topology.js';
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

const why = notBuilt ?? (await whyNoTopology('netns-3'));

/** A run, and the process of it that measures. */
type Run = { file: string; running: ReturnType<typeof start>; measuring: number };

/** A run on three client hosts, as short as it can be. */
async function startRun(samples: number): Promise<Run> {
  const file = newResults();
  onTestFinished(() => rmSync(dirname(file), { recursive: true }));
  const what = ['--topology', 'netns-3', '--variants', 'baseline', '--requests-per-connection', '8'];
  const size = ['--no-setup', '--duration', '2', '--samples', String(samples)];
  const running = start(['bench', 'memcached', ...size, ...what, '--out', file]);
  onTestFinished(() => void running.kill('SIGKILL'));
  return { file, running, measuring: await measuringIn(running.pid as number) };
}

/** Until so many processes with this in their command lines run for the run. */
async function untilRun({ running, measuring }: Run, words: string, count: number): Promise<void> {
  const ended = running.then(({ all }) => {
    throw new Error(`the run has ended: ${all}`);
  });
  const there = until(`${count} × ${words}`, () => childrenLike(measuring, words).length === count);
  // The loser has nobody to hear it.
  for (const one of [there, ended]) one.catch(() => undefined);
  await Promise.race([there, ended]);
}

/** Until a server of the run is loaded. */
async function untilLoaded(run: Run): Promise<void> {
  await untilRun(run, 'hashpower', 1);
  await until('the server is loaded', () =>
    areLoaded(childrenLike(run.measuring, 'hashpower').map(({ pid }) => pid)),
  );
}

/** What runs of a command line for the run. */
function childrenLike(measuring: number, words: string) {
  return childrenOf(measuring).filter(({ command }) => command.includes(words));
}

describe('three client hosts', () => {
  testUnless(why)('load one server together, sample after sample', async () => {
    const run = await startRun(2);
    const { file, running, measuring } = run;
    await untilRun(run, ' agent --nats', 3);
    const agents = childrenLike(measuring, ' agent --nats');
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
    expect(await namespacesOf(measuring)).toEqual([]);
  });

  testUnless(why)('cost one sample when an agent dies, and go on with new agents', async () => {
    const run = await startRun(2);
    const { file, running, measuring } = run;
    await untilLoaded(run);
    const [agent] = childrenLike(measuring, ' agent --nats');
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
    const run = await startRun(50);
    const { running, measuring } = run;
    await untilLoaded(run);
    const children = childrenOf(measuring);
    expect(children.filter(({ command }) => command.includes('nats-server'))).toHaveLength(1);
    running.kill('SIGINT');
    await running;
    expect(children.filter(({ pid }) => isRunning(pid))).toEqual([]);
    expect(await namespacesOf(measuring)).toEqual([]);
  });
});
