import { describe, expect, test } from 'vitest';
import { pointWords } from '../../src/report/points.js';
import { viewsOf } from '../../src/report/views.js';
import type { Point } from '../../src/results/schema.js';
import { at, on } from './fixture.js';

const usual: Point = { ...at(10), workload: 'echo', messageBytes: 64 };
const point = (changes: Partial<Point>): Point => ({ ...usual, ...changes });

const lengths = [1, 8, 10, 'unlimited'] as const;
const echo = [
  ...lengths.map((requestsPerConnection) => point({ requestsPerConnection })),
  ...[1024, 65_536].map((messageBytes) => point({ messageBytes })),
  ...lengths.map((requestsPerConnection) => point({ requestsPerConnection, cores: 1 })),
  point({ messageBytes: 1024, cores: 1 }),
];

const shown = (application: string, points: Point[]) =>
  viewsOf(application, points).map(({ view, points: own }) => [view.title, own.length]);

describe('the points of the microbenchmark', () => {
  test('are shown as the paper’s figures, each along its own axis', () => {
    expect(shown('echo', echo)).toEqual([
      ['Requests a connection', 4],
      ['Size of messages', 3],
      ['Cores', 8],
      ['Size of messages on cores', 4],
    ]);
  });

  test('are shown once where they differ in one thing alone', () => {
    expect(shown('echo', echo.slice(0, 4))).toEqual([['Requests a connection', 4]]);
    expect(shown('echo', [point({})])).toEqual([['Requests a connection', 1]]);
  });
});

test('a view whose panels another one has is left out', () => {
  const own = [point({}), point({ messageBytes: 1024 }), point({ cores: 1 })];
  expect(shown('echo', own)).toEqual([
    ['Size of messages', 2],
    ['Cores', 2],
  ]);
});

test('memcached’s connections are shown in both loops, beside requests a connection', () => {
  const own = [
    ...[at(1), at('unlimited')],
    ...[64, 1024].flatMap((connections) =>
      [null, 20_000].map((rate) => ({ ...at('unlimited'), connections, rate })),
    ),
  ];
  expect(shown('memcached', own)).toEqual([
    ['Requests a connection', 2],
    ['Latency over persistent connections', 5],
  ]);
});

test('a point that nobody else shows stays where its place is, though it is alone in its panel', () => {
  const closed = [64, 256, 1024].map((connections) => ({ ...at('unlimited'), connections }));
  const own = [at(1), ...closed, { ...at('unlimited'), connections: 1024, rate: 20_000 }];
  expect(shown('memcached', own)).toEqual([
    ['Requests a connection', 2],
    ['Latency over persistent connections', 4],
  ]);
});

test('nginx’s workloads are panels, on one number of cores too', () => {
  const all = ['specweb', 'yahoo'].flatMap((workload) => [on(workload, 1), on(workload, 2)]);
  expect(shown('nginx', all)).toEqual([['Workloads', 4]]);
  expect(shown('nginx', [on('specweb', 2), on('yahoo', 2)])).toEqual([['Workloads', 2]]);
});

test('points that no view has get one of their own, and are told apart by all that differs', () => {
  const own = [on('specweb', 2), { ...on('specweb', 2), rate: 1000, connections: 8 }];
  const [main, others] = viewsOf('nginx', own);
  const all = [...(main?.points ?? []), ...(others?.points ?? [])];
  expect(all).toHaveLength(2);
  const view = others?.view ?? main?.view;
  expect(view && pointWords(view, own[1] as Point, own)).toContain('open loop, 1000 requests/s');
});
