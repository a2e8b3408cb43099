import { describe, expect, test } from 'vitest';
import { type Comparison, decide, decideAlone, usualRule } from '../../src/statistics/decide.js';
import {
  autocorrelated,
  drifting,
  familyRate,
  heavyTailed,
  medianRounds,
  normal,
  randomFrom,
  type Source,
  twoModes,
} from './simulation.js';

const headline = 18;

const times = (count: number, source: () => Source) => Array.from({ length: count }, source);

// Each family is of 18 comparisons, looked at after each of 30 rounds.
describe('of servers that do not differ, no more families than stated have a difference claimed', () => {
  test.each([
    ['normal', normal],
    ['heavy-tailed', heavyTailed],
    ['of two modes', twoModes],
    ['of a machine that drifts', drifting],
  ])('where pairs are %s', (_name, kind) => {
    const random = randomFrom(18);
    const rate = familyRate(400, 30, ['better', 'worse'], () => times(headline, () => kind(random, 0.05)));
    expect(rate).toBeLessThanOrEqual(usualRule.alpha / 2);
  });

  // Pairs are to be independent; what is allowed for claims of sameness, which are none of these, takes up a little more.
  test('where pairs are a little like the one before', () => {
    const random = randomFrom(24);
    const rate = familyRate(400, 30, ['better', 'worse'], () =>
      times(headline, () => autocorrelated(random, 0.05)),
    );
    expect(rate).toBeLessThanOrEqual(usualRule.alpha);
  });

  test('where all comparisons share their samples', () => {
    const random = randomFrom(19);
    const rate = familyRate(400, 30, ['better', 'worse'], () => {
      const source = normal(random, 0.05);
      let shared = 0;
      return Array.from({ length: headline }, (_, index) => () => {
        if (index === 0) shared = source();
        return shared;
      });
    });
    expect(rate).toBeLessThanOrEqual(usualRule.alpha / 2);
  });

  test('and looking once at fixed intervals of 95 %, as often, would have claimed one in most families', () => {
    const random = randomFrom(20);
    let wrong = 0;
    for (let family = 0; family < 100; family++) {
      const sources = times(headline, () => normal(random, 0.05));
      wrong += sources.some((source) => everOutside(source, 30)) ? 1 : 0;
    }
    expect(wrong).toBeGreaterThan(90);
  });
});

/** Whether the usual t-test (its 5 % point taken as 2.6, that of five degrees of freedom) ever says so. */
function everOutside(source: Source, rounds: number): boolean {
  const values = [source(), source(), source(), source(), source()];
  for (let round = values.length; round < rounds; round++) {
    values.push(source());
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    if (Math.abs(mean) / Math.sqrt(squares / (values.length - 1) / values.length) > 2.6) return true;
  }
  return false;
}

test('of servers that differ by the margin, no more families than stated have sameness or the wrong direction claimed', () => {
  const random = randomFrom(21);
  const rate = familyRate(400, 30, ['same', 'better'], () =>
    times(headline, () => normal(random, 0.02, Math.log1p(usualRule.margin))),
  );
  expect(rate).toBeLessThanOrEqual(usualRule.alpha / 2);
});

// Simulated expectations: what a run can decide, in rounds of fresh pairs.
describe('half of the comparisons are decided', () => {
  test.each([
    [0.45, 0.13, 7],
    [0.2, 0.09, 9],
    [0.2, 0.05, 6],
    [0.1, 0.03, 7],
    [0.05, 0.03, 12],
  ])('for a gain of %f at a spread of %f within %i rounds', (gain, spread, rounds) => {
    const random = randomFrom(22);
    expect(
      medianRounds(headline, () => normal(random, spread, Math.log(1 - gain)), 'better'),
    ).toBeLessThanOrEqual(rounds);
  });

  test.each([
    [0.01, 9],
    [0.02, 17],
  ])('for sameness at a spread of %f within %i rounds', (spread, rounds) => {
    const random = randomFrom(23);
    expect(medianRounds(headline, () => normal(random, spread), 'same')).toBeLessThanOrEqual(rounds);
  });
});

describe('a decision', () => {
  const one = (logRatios: number[], better: Comparison['better'] = 'lower'): Comparison => ({
    key: 'one',
    better,
    logRatios,
  });
  const less = [-0.3, -0.33, -0.28, -0.31, -0.3, -0.29];

  test('has the metric’s direction', () => {
    expect(decide([one(less)]).get('one')?.verdict).toBe('better');
    expect(decide([one(less, 'higher')]).get('one')?.verdict).toBe('worse');
  });

  test('rests on the interval that is shown', () => {
    const { interval, pairs, roundsToGo } = decide([one(less)]).get('one') ?? {};
    expect(interval?.ratio).toBeCloseTo(Math.exp(-0.3017), 3);
    expect(interval?.high).toBeLessThan(1);
    expect({ pairs, roundsToGo }).toEqual({ pairs: 6, roundsToGo: 0 });
  });

  test('of sameness is not one of a small difference', () => {
    const small = [0.01, 0.012, 0.008, 0.011, 0.009, 0.01, 0.012, 0.01, 0.011, 0.009, 0.01, 0.01];
    const { verdict, interval } = decide([one(small)]).get('one') ?? {};
    expect(verdict).toBe('same');
    expect(interval?.low).toBeGreaterThan(1 / 1.03);
    expect(interval?.high).toBeLessThan(1.03);
  });

  test('is open without pairs, and without a forecast', () => {
    expect(decide([one([])]).get('one')).toEqual({
      verdict: 'open',
      pairs: 0,
      interval: undefined,
      roundsToGo: undefined,
    });
    expect(decide([one([-0.3])]).get('one')).toMatchObject({ verdict: 'open', roundsToGo: undefined });
  });

  test('asks more of one that is looked at beside others, measured or not', () => {
    const few = less.slice(0, 4);
    expect(decide([one(few)]).get('one')?.verdict).toBe('better');
    const others = Array.from({ length: 17 }, (_, index) => ({ ...one([]), key: `other ${index}` }));
    expect(decide([one(few), ...others]).get('one')?.verdict).toBe('open');
    expect(decideAlone([one(few), ...others]).get('one')?.verdict).toBe('better');
  });

  test('asks less of one when others are decided', () => {
    const few = less.slice(0, 4);
    const family = (logRatios: number[]) => [
      one(few),
      ...Array.from({ length: 17 }, (_, index) => ({ ...one(logRatios), key: `other ${index}` })),
    ];
    expect(decide(family([])).get('one')?.verdict).toBe('open');
    expect(decide(family([...less, ...less])).get('one')?.verdict).toBe('better');
  });
});

describe('the forecast', () => {
  test('comes true for pairs like those so far', () => {
    const pairs = [-0.02, -0.14, -0.09, -0.05];
    const found = (rounds: number) => {
      const logRatios = [
        ...pairs,
        ...Array.from({ length: rounds }, (_, index) => pairs[index % 4] as number),
      ];
      return decide([{ key: 'one', better: 'lower', logRatios }]).get('one');
    };
    const { verdict, roundsToGo = 0 } = found(0) ?? {};
    expect(verdict).toBe('open');
    expect(roundsToGo).toBeGreaterThan(1);
    const needed = [...Array(40).keys()].find((rounds) => found(rounds)?.verdict === 'better') as number;
    expect(Math.abs(needed - roundsToGo)).toBeLessThanOrEqual(3);
  });
});
