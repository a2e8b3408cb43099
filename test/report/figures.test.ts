import { parseHTML } from 'linkedom';
import { describe, expect, test } from 'vitest';
import { accumulated, baseline } from '../../src/bench/application/variant.js';
import { type FigureSpec, figureSpecs } from '../../src/report/figure-specs.js';
import { drawFigure } from '../../src/report/figures.js';
import type { Section } from '../../src/report/model.js';
import { summarize } from '../../src/report/summary.js';
import type { Results } from '../../src/results/schema.js';
import { at, plainShape, recordsOf, resultsOf, type Shape } from './fixture.js';

const relative = figureSpecs.find(({ name }) => name === 'relative') as FigureSpec;

/** An echo server that gains a tenth of what the paper's did, at connections of the lengths of its Table 3. */
const echo: Shape = {
  ...plainShape,
  application: 'echo',
  variants: [baseline, ...accumulated('uring')],
  points: [1, 8, 128].map((length) => ({ ...at(length), workload: 'echo', messageBytes: 64 })),
  requests: ({ techniques }, _point, round) => 10_000 * (1 + techniques.length / 50) * (1 + round / 100),
};

function drawn(shape: Shape) {
  const [section] = summarize(resultsOf(recordsOf(shape)) as Results) as [Section];
  const { document } = parseHTML(drawFigure(section, relative)?.wide ?? '');
  const texts = (selector: string) => [...document.querySelectorAll(selector)].map((one) => one.textContent);
  return { titles: texts('title'), ticks: texts('g[aria-label^="y-axis tick label"] text').map(Number) };
}

describe('the y axis', () => {
  test('reaches as far as our own dots, and the paper’s are at its edge', () => {
    const { titles, ticks } = drawn(echo);
    expect(Math.max(...ticks)).toBeLessThan(1.2);
    expect(titles).toContainEqual(expect.stringMatching(/^the paper, PBL, .*: ×\d\.\d\d, beyond the axis$/));
    expect(titles).toContain('uring+PBL at 1: ×1.06, ×1.04 to ×1.08 (5 samples)');
  });

  test('is not stretched by an interval of few rounds', () => {
    const scattered: Shape = {
      ...echo,
      rounds: 4,
      requests: ({ techniques }, _point, round) => 10_000 * (techniques.length > 0 ? 1 + (round % 2) / 5 : 1),
    };
    expect(Math.max(...drawn(scattered).ticks)).toBeLessThan(2);
  });
});
