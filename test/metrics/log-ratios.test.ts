import { describe, expect, test } from 'vitest';
import { whole } from '../../src/bench/application/variant.js';
import { type ComparedMetric, logRatiosOf } from '../../src/metrics/log-ratios.js';
import type { OkSample, SampleRecord, TopologyRecord } from '../../src/results/schema.js';
import { at, failedSample, machineRecord, okSample } from '../report/fixture.js';

const [topology] = machineRecord(['loopback']).topologies as [TopologyRecord];
const uring = whole('uring');

const ratios = (samples: SampleRecord[], metric: ComparedMetric) =>
  logRatiosOf(samples, topology, at(1), { variant: uring.id, rival: 'baseline' }, metric);

const pair = (round: number, requests: number): OkSample[] => [
  okSample({ round }),
  okSample({ round, variant: uring }, requests, 400_000),
];

/** Of the two CPUs' two seconds others have this much. */
function disturbed(sample: OkSample, othersUs: number): OkSample {
  return { ...sample, measured: { ...sample.measured, othersShare: othersUs / 2e6 } };
}

describe('log ratios', () => {
  test('are of samples of one round', () => {
    const samples = [
      ...pair(0, 20_000),
      ...pair(1, 5_000),
      okSample({ round: 2, variant: uring }, 1),
      okSample({ round: 3 }),
    ];
    expect(ratios(samples, 'throughput')).toEqual({ logRatios: [Math.log(2), Math.log(0.5)], disturbed: [] });
  });

  test('are of every metric', () => {
    // 20 µs a request to 80 µs; 20,000 requests of .8 s of both sides' CPU time to 10,000 of 1.6 s.
    const [own, other] = pair(0, 20_000) as [OkSample, OkSample];
    const samples = [own, disturbed({ ...other, measured: { ...other.measured, clientCpuUs: 400_000 } }, 0)];
    const ratio = (metric: ComparedMetric) => ratios(samples, metric).logRatios.map(Math.exp)[0];
    expect(ratio('serverCpuUs')).toBeCloseTo(0.25, 9);
    expect(ratio('requestsPerCpuS')).toBeCloseTo(4, 9);
    expect(ratio('throughput')).toBeCloseTo(2, 9);
    expect(ratio('p99Us')).toBe(1);
  });

  test('leave out failed and traced samples, and other points', () => {
    const [own, other] = pair(0, 20_000) as [OkSample, OkSample];
    expect(ratios([own, { ...failedSample('fell over', uring), round: 0 }], 'throughput').logRatios).toEqual(
      [],
    );
    expect(ratios([own, { ...other, kind: 'traced' }], 'throughput').logRatios).toEqual([]);
    expect(ratios([own, { ...other, point: at(10) }], 'throughput').logRatios).toEqual([]);
  });

  test('leave out what others disturbed, but not its CPU time', () => {
    const [own, other] = pair(0, 20_000) as [OkSample, OkSample];
    const samples = [own, disturbed(other, 210_000), ...pair(1, 15_000)];
    expect(ratios(samples, 'throughput')).toEqual({ logRatios: [Math.log(1.5)], disturbed: [Math.log(2)] });
    expect(ratios(samples, 'serverCpuUs')).toMatchObject({ disturbed: [] });
    expect(ratios(samples, 'serverCpuUs').logRatios).toHaveLength(2);
    expect(ratios([own, disturbed(other, 190_000)], 'throughput').disturbed).toEqual([]);
  });

  test('are none of a server that answered nothing', () => {
    expect(ratios(pair(0, 0), 'throughput').logRatios).toEqual([]);
  });
});
