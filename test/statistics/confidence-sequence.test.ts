import { describe, expect, test } from 'vitest';
import { confidenceSequence, logEvidence, momentsOf } from '../../src/statistics/confidence-sequence.js';
import { normal, randomFrom } from './simulation.js';

/** The e-value from its definition: the likelihood integrated over effects of N(0, 5), spreads of dσ/σ, to that of no effect. */
function integratedEvidence(values: number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value ** 2, 0);
  const n = values.length;
  const overSpreads = (effect: number) =>
    integrate(-8, 10, (logSpread) => {
      const spread = Math.exp(logSpread);
      const exponent =
        -(squares - 2 * effect * spread * sum + n * (effect * spread) ** 2) / (2 * spread ** 2);
      return Math.exp(exponent - n * logSpread + n * Math.log(spreadScale));
    });
  const spreadScale = Math.sqrt(squares / n);
  const prior = (effect: number) => Math.exp(-(effect ** 2) / (2 * 5)) / Math.sqrt(2 * Math.PI * 5);
  return integrate(-15, 15, (effect) => prior(effect) * overSpreads(effect)) / overSpreads(0);
}

function integrate(from: number, to: number, f: (x: number) => number): number {
  const steps = 1500;
  const width = (to - from) / steps;
  return Array.from({ length: steps }, (_, step) => f(from + (step + 0.5) * width) * width).reduce(
    (total, value) => total + value,
    0,
  );
}

describe('the evidence', () => {
  test.each([[[30, 50]], [[30, 40, 50, 20]], [[-10, 20, 5, 10, 3, -4]]])(
    'of %j is what the likelihoods integrate to',
    (values) => {
      // Of any scale: here the floor under the spread is nothing.
      expect(Math.exp(logEvidence(momentsOf(values), 0))).toBeCloseTo(integratedEvidence(values), 3);
    },
  );

  test('of one pair is none, whatever it says', () => {
    expect(logEvidence(momentsOf([3]), 0)).toBe(0);
  });

  test('of pairs that agree to the last digit is bounded by what can be measured', () => {
    const equal = logEvidence(momentsOf(Array(6).fill(0.003)), 0);
    expect(equal).toBeLessThan(Math.log(20));
    expect(logEvidence(momentsOf(Array(6).fill(0.3)), 0)).toBeGreaterThan(Math.log(1000));
  });
});

describe('the confidence sequence', () => {
  test('of nothing is none, of too few pairs unbounded', () => {
    expect(confidenceSequence([], 0.05)).toBeUndefined();
    expect(confidenceSequence([Math.log(2)], 0.05)).toEqual({
      ratio: 2,
      low: 0,
      high: Number.POSITIVE_INFINITY,
    });
  });

  test('ends where the evidence is 1/α', () => {
    const values = [0.3, 0.35, 0.2, 0.4, 0.31, 0.28];
    const { low, high } = confidenceSequence(values, 0.01) as { low: number; high: number };
    for (const end of [low, high])
      expect(logEvidence(momentsOf(values), Math.log(end))).toBeCloseTo(Math.log(100), 6);
  });

  test('holds the true ratio at all of its looks but with the stated chance', () => {
    const random = randomFrom(1);
    const runs = 2000;
    let missed = 0;
    for (let run = 0; run < runs; run++) {
      const source = normal(random, 0.05, 0.2);
      const values: number[] = [];
      let holds = true;
      for (let round = 0; round < 40; round++) {
        values.push(source());
        const { low, high } = confidenceSequence(values, 0.1) as { low: number; high: number };
        holds &&= low <= Math.exp(0.2) && Math.exp(0.2) <= high;
      }
      if (!holds) missed++;
    }
    // Not much less either: it is no vacuous bound.
    expect(missed / runs).toBeLessThanOrEqual(0.1);
    expect(missed / runs).toBeGreaterThan(0.02);
  });
});
