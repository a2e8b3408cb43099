import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseHTML } from 'linkedom';
import { afterEach, describe, expect, test } from 'vitest';
import { baseline, whole } from '../../src/bench/application/variant.js';
import { formatAnswer } from '../../src/report/answer.js';
import { drawForest } from '../../src/report/forest.js';
import { headlinePoints, type Reported } from '../../src/report/headline.js';
import { formatPage } from '../../src/report/page.js';
import { summarize } from '../../src/report/summary.js';
import { readResults } from '../../src/results/file.js';
import type { Point, ResultRecord, Variant } from '../../src/results/schema.js';
import { at, nginxShape, on, plainShape, recordsOf, type Shape, writeRecords } from './fixture.js';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function readBack(records: ResultRecord[]): Reported[] {
  const file = writeRecords(records);
  folders.push(dirname(file));
  return readResults(file).map((results) => ({ results, sections: summarize(results) }));
}

const uring = whole('uring');
const again: Variant = { ...baseline, id: 'again' };

/** Eight rounds in which MegaPipe takes half of the CPU time, and its throughput is what is asked for. */
function shapeOf(throughput: (point: Point, round: number) => number, change: Partial<Shape> = {}): Shape {
  return {
    ...plainShape,
    variants: [baseline, uring],
    points: [at(1), at(10), at('unlimited')],
    rounds: 8,
    requests: ({ server }, point, round) =>
      Math.round(10_000 * (server === 'megapipe' ? throughput(point, round) : 1)),
    serverCpuUs: ({ server }, point, round) =>
      server === 'megapipe' ? 200_000 * throughput(point, round) : 400_000,
    ...change,
  };
}

/** As a run that says what it is to answer. */
function asked(shape: Shape, points = shape.points): ResultRecord[] {
  return recordsOf(shape).map((record) => {
    if (record.type !== 'machine') return record;
    const phase = {
      about: 'requests a connection',
      topology: 'loopback' as const,
      variants: shape.variants,
      points,
      headline: { variant: uring.id, again: points[0] as Point },
      tracedPoints: [],
      samples: shape.rounds,
      firstRound: 0,
    };
    return { ...record, plan: { ...record.plan, phases: [phase] } };
  });
}

const verdicts = (runs: Reported[]) =>
  headlinePoints(runs).map(({ application, answers }) => [
    application,
    answers.serverCpuUs.verdict,
    answers.throughput.verdict,
  ]);

const gains = ({ requestsPerConnection }: Point, round: number) =>
  requestsPerConnection === 1 ? 1.5 : requestsPerConnection === 10 ? 1 : 1 + (round % 2 ? 0.5 : -0.3);

describe('the headline', () => {
  test('is of the points that the run was to answer, decided together', () => {
    const runs = readBack(asked(shapeOf(gains), [at(1), at(10), at('unlimited')]));
    expect(verdicts(runs)).toEqual([
      ['memcached', 'better', 'better'],
      ['memcached', 'better', 'same'],
      ['memcached', 'better', 'open'],
    ]);
    expect(headlinePoints(readBack(asked(shapeOf(gains), [at(10)])))).toHaveLength(1);
  });

  test('of older results is of the first engine with all techniques', () => {
    const runs = readBack(recordsOf({ ...nginxShape, rounds: 8 }));
    const points = headlinePoints(runs);
    expect(points).toHaveLength(nginxShape.points.length);
    expect(points[0]).toMatchObject({ application: 'nginx', variant: 'uring+PBL' });
  });

  test('asks more of a run that has more to answer', () => {
    const four = shapeOf(() => 1.5, { rounds: 4, points: [at(1)] });
    expect(verdicts(readBack(asked(four)))[0]).toEqual(['memcached', 'better', 'better']);
    const nginx = asked({ ...nginxShape, rounds: 1, variants: [baseline, uring] });
    const both = [...asked(four), ...nginx];
    expect(verdicts(readBack(both))[0]).toEqual(['memcached', 'open', 'open']);
  });

  test('has no verdict on throughput from rounds that others disturbed', () => {
    const [line] = headlinePoints(readBack(asked(shapeOf(() => 1.5, { othersShare: 0.2 }))));
    expect(line?.answers.throughput).toMatchObject({ verdict: 'open', pairs: 0, disturbed: 8 });
    expect(line?.answers.serverCpuUs).toMatchObject({ verdict: 'better', pairs: 8 });
  });
});

describe('the terminal’s answer', () => {
  test('is a sentence, a line for each point, what is open, and how far to believe it', () => {
    const text = formatAnswer(readBack(asked(shapeOf(gains))));
    expect(text).toContain(
      'uring+PBL against stock I/O: server CPU a request is less at all 3 points (×0.50); ' +
        'throughput is more at 1 of 3 points (×1.50), the same within 3 % at 1 (×1.00) and not decided at 1.',
    );
    expect(text).toMatch(
      /^memcached +10 requests a connection +better ×0\.50 .*same +×1\.00 \(0\.9\d to 1\.0\d\)$/m,
    );
    expect(text).toMatch(
      /^not decided: +memcached, unlimited requests a connection, throughput: ×1\.02, could be 0\.\d\d to \d\.\d\d; about \d+ rounds more/m,
    );
    expect(text).toContain('2 × Abacus <2000>, Linux 6.1.0-test; measured for 10 min 0 s');
    expect(text).toContain('other processes took 0 % of the CPUs’ time');
    expect(text).toContain('The server had 2 cores at most');
    expect(text).not.toContain('no difference');
  });

  test('fits a screen of 25 lines, however many points there are', () => {
    const runs = ['memcached', 'nginx', 'echo'].flatMap((application) =>
      asked(
        shapeOf((_point, round) => 1 + (round % 2) / 2, { application, points: [1, 2, 4, 8, 16].map(at) }),
      ),
    );
    const lines = formatAnswer(readBack(runs)).split('\n');
    expect(lines.length).toBeLessThanOrEqual(23);
    expect(lines.join('\n')).toContain('and 4 points more, in the page');
    expect(lines.join('\n')).toContain('and 13 more, in the page');
  });

  test('says what stock I/O is against itself', () => {
    const shape = shapeOf(gains, { variants: [baseline, again, uring] });
    const text = formatAnswer(readBack(asked(shape)));
    expect(text).toContain('CPU and throughput: memcached ×1.00 and ×1.00; none is told from 1');
    expect(formatAnswer(readBack(asked(shapeOf(gains))))).toContain(
      'against itself: not measured in this file',
    );
  });

  test('says so where stock I/O differs from itself', () => {
    const noisy: Shape = {
      ...shapeOf(gains, { variants: [baseline, again, uring] }),
      requests: ({ id }) => (id === 'again' ? 13_000 : 10_000),
    };
    expect(formatAnswer(readBack(asked(noisy)))).toContain(
      'memcached’s cpu (0.76 to 0.78) and memcached’s throughput (1.29 to 1.31) found a difference where there is none',
    );
  });

  test('of a run that compared nothing says that', () => {
    const text = formatAnswer(readBack(recordsOf({ ...plainShape, variants: [baseline] })));
    expect(text).toContain('Nothing was compared with stock I/O.');
  });
});

describe('the forest', () => {
  /** How many dots are of this colour; a group may have it for all that are in it. */
  function circles(svg: string, fill: string): number {
    const { document } = parseHTML(svg);
    const dots = [...document.querySelectorAll('circle')];
    return dots.filter(
      (dot) => (dot.getAttribute('fill') ?? dot.parentElement?.getAttribute('fill')) === fill,
    ).length;
  }

  test('has a row a point; filled is decided, hollow is open', () => {
    const { wide, narrow } = drawForest(headlinePoints(readBack(asked(shapeOf(gains))))) as never as Record<
      string,
      string
    >;
    for (const drawing of [wide, narrow] as string[]) {
      expect(circles(drawing, 'var(--better)')).toBe(4);
      expect(circles(drawing, 'var(--same)')).toBe(1);
      expect(circles(drawing, 'var(--card)')).toBe(1);
      expect(drawing).toContain('memcached, ∞');
    }
  });

  test('cuts off what is beyond its axis', () => {
    const points = headlinePoints(readBack(asked(shapeOf(() => 5, { points: [at(1)], rounds: 3 }))));
    const { wide } = drawForest(points) as { wide: string };
    expect(wide).toContain('×5.00');
    for (const [, x] of wide.matchAll(/<circle[^>]*cx="([\d.]+)"/g)) expect(Number(x)).toBeLessThan(660);
    expect(wide).not.toMatch(/NaN|Infinity/);
  });
});

/** As format 3 had them: it knew no priority, no budget, and took each sample once. */
function ofFormat3(records: ResultRecord[]): unknown[] {
  return records.map((record) => {
    if (record.type === 'machine') {
      const { priority: _priority, plan, ...rest } = record;
      const { budgetMs: _budget, ...oldPlan } = plan;
      return { ...rest, format: 3, plan: oldPlan };
    }
    if (record.type !== 'sample' || record.status !== 'ok') return record;
    const { attempt: _attempt, disturbed: _disturbed, measured, ...rest } = record;
    const { othersShare: _share, ...oldMeasured } = measured;
    return { ...rest, measured: oldMeasured };
  });
}

describe('the page', () => {
  test('of an older file has an answer too, and says what that file does not tell', () => {
    const runs = readBack(ofFormat3(recordsOf(shapeOf(gains))) as ResultRecord[]);
    expect(verdicts(runs)[0]).toEqual(['memcached', 'better', 'better']);
    const page = formatPage(runs);
    expect(page).toContain('against itself: not measured in this file');
    expect(page).toContain('priority not raised');
  });

  test('begins with the answer, and folds all the rest', () => {
    const runs = readBack([
      ...asked(shapeOf(gains)),
      ...asked(shapeOf(gains, { application: 'nginx', points: [on('specweb', 2)] })),
    ]);
    const page = formatPage(runs);
    const order = [
      'class="answer"',
      'measured for',
      '<svg',
      'Not decided',
      'What cannot be said here',
      '<details class="run"',
    ];
    const places = order.map((words) => page.indexOf(words));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places).not.toContain(-1);
    expect(page.match(/<details class="run"/g)).toHaveLength(2);
    expect(page.indexOf('<article')).toBeGreaterThan(page.indexOf('<details class="run"'));
  });
});
