import { describe, expect, test } from 'vitest';
import { accumulated, baseline, parseVariant } from '../../src/bench/application/variant.js';
import {
  crossingsPerRequest,
  metricsOf,
  remoteWakeUpsPer1000,
  systemCallsPerRequest,
} from '../../src/metrics/metrics.js';
import { findings } from '../../src/report/findings.js';
import { summarize } from '../../src/report/summary.js';
import { accumulations, gainAt } from '../../src/report/techniques.js';
import type { FailedSample } from '../../src/results/schema.js';
import { at, machineRecord, okSample, plainShape, recordsOf, resultsOf } from './fixture.js';

const [loopback, netns] = machineRecord(['loopback', 'netns']).topologies as [never, never];

describe('one sample', () => {
  test('gives throughput and CPU time a request, each over its own window', () => {
    const sample = okSample({}, 40_000, 1_000_000);
    sample.measured.windowUs = 2e6;
    sample.measured.sampledUs = 2.5e6;
    const metrics = metricsOf(sample, loopback);
    expect(metrics.throughput).toBeCloseTo(20_000);
    // 1 s of CPU in 2.5 s is 0.4 s a second, for 20,000 requests a second.
    expect(metrics.serverCpuUs).toBeCloseTo(20);
    expect(metrics).toMatchObject({ p50Us: 250, p99Us: 900 });
  });

  test('counts all work of the server’s CPUs only where they are the server’s alone', () => {
    expect(metricsOf(okSample({}), loopback).hostCpuUs).toBeNull();
    // 0.8 s busy on its one CPU, for 10,000 requests.
    expect(metricsOf(okSample({}), netns).hostCpuUs).toBeCloseTo(80);
    expect(metricsOf(okSample({}), netns).softirqShare).toBeCloseTo(1 / 8);
    expect(metricsOf(okSample({}), netns).serverIdle).toBeCloseTo(0.2);
  });

  test('tells the work of others from that of server and client', () => {
    // 1.6 s of both CPUs' 2 s were busy, of which server and client used 0.8 s each.
    const { measured, ...head } = okSample({});
    const sample = { ...head, measured: { ...measured, othersShare: null } };
    expect(metricsOf(sample, loopback).othersShare).toBeCloseTo(0);
    const less = { ...sample, measured: { ...sample.measured, serverCpuUs: 400_000 } };
    expect(metricsOf(less, loopback).othersShare).toBeCloseTo(0.2);
    // Today's results have it.
    const told = { ...less, measured: { ...less.measured, othersShare: 0.3 } };
    expect(metricsOf(told, loopback).othersShare).toBe(0.3);
  });

  test('gives crossings and system calls a request where they were counted', () => {
    expect(systemCallsPerRequest(okSample({ systemCalls: 25_000 }))).toBeCloseTo(2.5);
    expect(systemCallsPerRequest(okSample({}))).toBeNull();
    expect(remoteWakeUpsPer1000(okSample({ remoteWakeUps: 500 }))).toBeCloseTo(50);
    expect(remoteWakeUpsPer1000(okSample({}))).toBeNull();
    expect(crossingsPerRequest(okSample({}))).toBeNull();
  });
});

describe('a run', () => {
  const results = resultsOf(recordsOf(plainShape));
  const [section] = summarize(results);

  test('has a cell for each point and variant, the baseline first', () => {
    expect(section?.variants.map(({ id }) => id)).toEqual(['baseline', 'uring+P', 'uring+PB', 'uring+PBL']);
    expect(section?.points).toEqual([at(1), at('unlimited')]);
    expect(section?.cells).toHaveLength(8);
  });

  test('takes ratios within a round, so that what differs between rounds cancels out', () => {
    const cell = section?.cell('uring+PBL', at(1));
    expect(cell?.throughput).toMatchObject({ low: 13_000, median: 13_260, high: 13_520, samples: 5 });
    expect(cell?.ratios.throughput).toMatchObject({ pairs: 5, disturbed: 0, verdict: 'better' });
    expect(cell?.ratios.throughput?.ratio).toBeCloseTo(1.3, 4);
    expect(section?.cell('baseline', at(1))?.ratios.throughput).toBeUndefined();
  });

  test('keeps traced samples out of the timings', () => {
    expect(section?.cell('baseline', at(1))).toMatchObject({ timed: 5, failed: 0 });
    expect(section?.cell('baseline', at(1))?.systemCalls?.median).toBeCloseTo(7);
    expect(section?.cell('uring+PB', at(1))?.crossings?.median).toBeCloseTo(1 / 8, 2);
    expect(section?.cell('uring+PB', at(1))?.operationsPerCrossing?.median).toBeCloseTo(16, 0);
  });

  test('accumulates the techniques’ gains as the paper’s Table 3 does', () => {
    const [accumulation] = accumulations(section as never);
    const gains = accumulation?.steps.map((step) => [step.label, gainAt(step, at(1))?.median]);
    expect(gains?.map(([label]) => label)).toEqual(['+P', 'P +B', 'PB +L', 'Total']);
    for (const [index, expected] of [0.1, 0.1, 0.1, 0.3].entries())
      expect(gains?.[index]?.[1]).toBeCloseTo(expected, 3);
  });

  test('says nothing of a technique whose rounds are none of the others’', () => {
    const apart = recordsOf(plainShape).map((record) =>
      record.type === 'sample' && record.variant.id === 'uring+PBL'
        ? { ...record, round: record.round + 10 }
        : record,
    );
    const techniques = findings(summarize(resultsOf(apart))).find(({ heading }) =>
      heading.startsWith('What each'),
    );
    expect(techniques?.sentences.map((sentence) => sentence.split(':')[0])).toEqual(['partition', 'batch']);
  });

  test('has no accumulation where a step was not measured', () => {
    const variants = [baseline, parseVariant('uring+P'), parseVariant('uring+PBL')];
    const [gap] = summarize(resultsOf(recordsOf({ ...plainShape, variants })));
    expect(accumulations(gap as never)).toEqual([]);
  });
});

describe('a failed sample', () => {
  const records = recordsOf({ ...plainShape, variants: [baseline, ...accumulated('uring')] });
  const index = records.findIndex(
    (record) => record.type === 'sample' && record.variant.id === 'baseline' && record.round === 2,
  );
  const {
    measured: _m,
    channels: _c,
    systemCalls: _s,
    remoteWakeUps: _w,
    ...head
  } = records[index] as never as FailedSample & Record<string, unknown>;
  records[index] = { ...head, status: 'failed', reason: 'killed' } as FailedSample;
  const [section] = summarize(resultsOf(records));

  test('is counted and in no median', () => {
    expect(section?.cell('baseline', at(1))).toMatchObject({ timed: 5, failed: 1 });
    expect(section?.cell('baseline', at(1))?.throughput?.samples).toBe(4);
  });

  test('takes its round from every ratio to it', () => {
    expect(section?.cell('uring+P', at(1))?.throughput?.samples).toBe(5);
    expect(section?.cell('uring+P', at(1))?.ratios.throughput?.pairs).toBe(4);
  });
});

describe('the limit of the throughput', () => {
  const limitWith = (idle: [server: number, client: number], topology: 'loopback' | 'netns') => {
    const sample = okSample({ topology });
    sample.measured.cpus = idle.map((share, cpu) => ({
      cpu,
      userUs: 0,
      systemUs: (1 - share) * 1e6,
      irqUs: 0,
      softirqUs: 0,
      idleUs: share * 1e6,
      stealUs: 0,
    }));
    const results = resultsOf([machineRecord(['loopback', 'netns']), sample]);
    return summarize(results)[0]?.cell('baseline', at(1))?.limit;
  };

  test('is the side without idle time, on separate CPUs', () => {
    expect(limitWith([0.01, 0.3], 'netns')).toBe('server');
    expect(limitWith([0.3, 0.01], 'netns')).toBe('client');
    expect(limitWith([0.3, 0.3], 'netns')).toBe('nothing');
  });

  test('is the machine, on shared CPUs', () => {
    expect(limitWith([0.01, 0.01], 'loopback')).toBe('all CPUs');
    expect(limitWith([0.3, 0.3], 'loopback')).toBe('nothing');
  });
});
