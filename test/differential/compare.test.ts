import { expect, it } from 'vitest';
import { differences } from './compare.js';
import type { Fact, Observation } from './observation.js';

const seen = (fact: Fact): Observation => new Map([['it', fact]]);
const count = (n: number, slack = 2) => seen({ by: 'count', count: n, slack });
const text = (words: string) => seen({ by: 'text', text: words });
const nothing: Observation = new Map();

const found = (stock: Observation[], engine: Observation[]) =>
  differences(stock, engine).map(({ fact }) => fact);

it('counts differ where the ranges of both sides are apart', () => {
  expect(found([count(10), count(30)], [count(20), count(21)])).toEqual([]);
  expect(found([count(10), count(30)], [count(33), count(40)])).toEqual(['it']);
  expect(found([count(10), count(30)], [count(32), count(40)])).toEqual([]);
  expect(found([count(10)], [count(7), count(1)])).toEqual(['it']);
});

it('what was counted nowhere was counted 0 times', () => {
  expect(found([nothing, count(5)], [count(3), count(4)])).toEqual([]);
  expect(found([nothing, nothing], [count(3), count(4)])).toEqual(['it']);
});

it('anything else differs where nothing of an engine was seen of stock', () => {
  expect(found([text('a'), text('b')], [text('c'), text('b')])).toEqual([]);
  expect(found([text('a'), text('b')], [text('c'), text('d')])).toEqual(['it']);
  expect(found([text('a')], [nothing, text('d')])).toEqual(['it']);
});
