import { describe, expect, test } from 'vitest';
import { baseline, whole } from '../../src/bench/application/variant.js';
import { headlineComparisons, openPoints, startFamily } from '../../src/bench/headline.js';
import type { Phase, SampleRecord, TopologyRecord } from '../../src/results/schema.js';
import { at, machineRecord, okSample } from '../report/fixture.js';

const phase: Phase = {
  about: 'requests a connection',
  topology: 'loopback',
  variants: [baseline, whole('uring')],
  points: [at(1), at(10)],
  headline: { variant: 'uring+PBL', again: at(10) },
  tracedPoints: [],
  samples: 100,
  firstRound: 0,
};
const plan = { preset: 'quick', phases: [phase], durationMs: 1, warmupMs: 1, budgetMs: 1 };
const [topology] = machineRecord(['loopback']).topologies as [TopologyRecord];

/** Rounds of which the first point's ratios are far from 1, and the second's are anything. */
function rounds(count: number): SampleRecord[] {
  return Array.from({ length: count }, (_, round) => round).flatMap((round) => {
    const noise = round % 2 === 0 ? 3 : 1 / 3;
    return [
      okSample({ round, point: at(1) }, 10_000, 800_000),
      okSample({ round, point: at(1), variant: whole('uring') }, 20_000 + round, 500_000 + round),
      okSample({ round, point: at(10) }, 10_000, 800_000),
      okSample({ round, point: at(10), variant: whole('uring') }, 10_000 * noise, 800_000),
    ];
  });
}

describe('rounds', () => {
  const family = startFamily([
    { application: 'memcached', plan },
    { application: 'echo', plan },
  ]);
  const open = (count: number) => {
    family.learn('memcached', headlineComparisons('memcached', phase, topology, rounds(count)));
    return openPoints('memcached', phase, family.decided());
  };

  test('go to all points while nothing is known', () => {
    expect(openPoints('memcached', phase, family.decided())).toEqual(phase.points);
    expect(open(2)).toEqual(phase.points);
  });

  test('go to the open points once others are decided', () => {
    expect(open(20)).toEqual([at(10)]);
  });

  test('of an application that is next are all still needed', () => {
    open(20);
    expect(openPoints('echo', phase, family.decided())).toEqual(phase.points);
  });
});
