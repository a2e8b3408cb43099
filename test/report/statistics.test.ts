import { expect, test } from 'vitest';
import { estimate } from '../../src/report/statistics.js';

test('nothing gives no estimate', () => {
  expect(estimate([])).toBeUndefined();
});

test('one sample is its own median, and its interval is worth nothing', () => {
  expect(estimate([7])).toEqual({ median: 7, low: 7, high: 7, coverage: 0, samples: 1 });
});

test('the median of an even number of samples is the mean of the middle two', () => {
  expect(estimate([4, 1, 3, 2])?.median).toBe(2.5);
});

// Known from tables of the sign test: n samples, the rank of the interval's ends, its coverage in percent.
test.each([
  [3, 1, 75.0],
  [5, 1, 93.75],
  [6, 1, 96.875],
  [8, 1, 99.21875],
  [9, 2, 96.09375],
  [10, 2, 97.8515625],
  [12, 3, 96.142578125],
  [15, 4, 96.484375],
  [20, 6, 95.861053466796875],
  [25, 8, 95.6714749336],
])(
  'of %i samples the interval reaches from the %i. to the last but that, and holds the median with %f %',
  (n, rank, percent) => {
    const values = Array.from({ length: n }, (_, index) => (index * 7) % n).map((value) => value + 1);
    const { low, high, coverage, samples } = estimate(values) ?? {};
    expect({ low, high, samples }).toEqual({ low: rank, high: n + 1 - rank, samples: n });
    expect((coverage as number) * 100).toBeCloseTo(percent, 6);
  },
);

test('the order of the samples does not matter, and they are left as they are', () => {
  const values = [5, 3, 9, 1, 7, 2];
  const copy = [...values];
  expect(estimate(values)).toEqual(estimate([...values].sort()));
  expect(values).toEqual(copy);
});
