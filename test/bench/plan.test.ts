import { describe, expect, test } from 'vitest';
import { makePlan, ordersOf, type Phase, type PlanChoices, parsePoints } from '../../src/bench/plan.js';
import { accumulated, baseline, parseVariant } from '../../src/bench/variant.js';

const choices: PlanChoices = {
  preset: 'quick',
  engines: ['uring', 'epoll'],
  topologies: undefined,
  points: undefined,
  variants: undefined,
  samples: undefined,
  durationMs: undefined,
};

describe('a variant', () => {
  test.each(['baseline', 'uring', 'uring+P', 'uring+PB', 'epoll+PBL', 'kernel+L'])(
    '%s keeps its name',
    (id) => {
      expect(parseVariant(id).id).toBe(id);
    },
  );

  test('has a threshold of 1 unless it batches', () => {
    expect(parseVariant('uring+PL').batch).toBe(1);
    expect(parseVariant('uring+PBL').batch).toBe(32);
    expect(baseline.batch).toBeNull();
  });

  test.each(['', 'select', 'uring+', 'uring+X', 'uring+P+B', 'baseline+P'])(
    '"%s" is refused by name',
    (id) => {
      expect(() => parseVariant(id)).toThrow(`there is no variant "${id}"`);
    },
  );

  test('accumulates techniques in the paper’s order', () => {
    expect(accumulated('epoll').map(({ id }) => id)).toEqual(['epoll+P', 'epoll+PB', 'epoll+PBL']);
  });
});

describe('a plan', () => {
  test('of the full run has the paper’s points and every technique on every engine', () => {
    const [main] = makePlan({ ...choices, preset: 'full' }).phases;
    expect(main?.points).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 'unlimited']);
    expect(main?.variants.map(({ id }) => id)).toEqual([
      'baseline',
      ...['uring+P', 'uring+PB', 'uring+PBL'],
      ...['epoll+P', 'epoll+PB', 'epoll+PBL'],
    ]);
  });

  test('of the quick run has enough rounds for intervals that decide', () => {
    for (const { samples } of makePlan(choices).phases) expect(samples).toBeGreaterThanOrEqual(5);
  });

  test('always has the baseline, which every ratio is to', () => {
    const { phases, preset } = makePlan({ ...choices, variants: [parseVariant('uring+P')] });
    expect(phases[0]?.variants.map(({ id }) => id)).toEqual(['baseline', 'uring+P']);
    expect(preset).toBe('custom');
  });
});

describe('the order of samples', () => {
  const phase: Phase = {
    topology: 'loopback',
    variants: [baseline, ...accumulated('uring')],
    points: [1, 'unlimited'],
    samples: 5,
  };
  const orders = ordersOf(phase, makePlan(choices), true);
  const timed = orders.filter(({ kind }) => kind === 'timed');

  test('takes every variant of a point once a round, side by side', () => {
    expect(timed).toHaveLength(5 * 2 * 4);
    for (let start = 0; start < timed.length; start += 4) {
      const group = timed.slice(start, start + 4);
      expect(new Set(group.map(({ variant }) => variant.id)).size).toBe(4);
      expect(
        new Set(group.map(({ round, requestsPerConnection }) => `${round} ${requestsPerConnection}`)).size,
      ).toBe(1);
    }
  });

  test('does not let a variant always come first, or always follow the same one', () => {
    const groups = Array.from({ length: 5 }, (_, round) =>
      timed
        .filter((order) => order.round === round && order.requestsPerConnection === 1)
        .map(({ variant }) => variant.id),
    );
    expect(new Set(groups.map(([first]) => first)).size).toBeGreaterThan(2);
    const before = (id: string) => new Set(groups.map((group) => group[group.indexOf(id) - 1]));
    for (const { id } of phase.variants) expect(before(id).size).toBeGreaterThan(1);
  });

  test('traces each point once, after and apart from the timed samples', () => {
    expect(orders.slice(0, timed.length)).toEqual(timed);
    expect(orders.slice(timed.length).every(({ kind }) => kind === 'traced')).toBe(true);
    expect(orders).toHaveLength(timed.length + 2 * 4);
    expect(ordersOf(phase, makePlan(choices), false)).toHaveLength(timed.length);
  });
});

describe('requests per connection', () => {
  test('are whole numbers or unlimited', () => {
    expect(parsePoints('1,10,unlimited')).toEqual([1, 10, 'unlimited']);
  });

  test.each(['0', '-1', '1.5', 'many', '1,,2', ''])('"%s" is refused', (list) => {
    expect(() => parsePoints(list)).toThrow(/is not a number of requests per connection/);
  });
});
