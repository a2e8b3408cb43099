import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { usualRule, type Verdict } from '../statistics/decide.js';
import { formatRatio, rangeWords } from './format.js';
import type { HeadlineMetric, HeadlinePoint } from './headline.js';
import { pointName } from './headline-words.js';
import { shortWords } from './points.js';

/** The whole answer as a drawing, for a wide window and for a phone. */
type Forest = { wide: string; narrow: string };

/** A row a point, CPU and throughput side by side: filled is decided, hollow is open. */
export function drawForest(all: HeadlinePoint[]): Forest | undefined {
  if (all.length === 0) return undefined;
  return { wide: draw(all, 'wide'), narrow: draw(all, 'narrow') };
}

type Width = 'wide' | 'narrow';

/** In pixels; and the ratio at which the axis ends, where the ratios are written. */
const sizes: Record<
  Width,
  { width: number; labels: number; font: number; row: number; end: number; ticks: number[] }
> = {
  wide: { width: 660, labels: 150, font: 12, row: 24, end: 3.1, ticks: [0.5, 0.7, 1, 1.4, 2] },
  narrow: { width: 358, labels: 92, font: 11, row: 24, end: 4, ticks: [0.5, 1, 2] },
};

/** What is drawn; beyond it an interval is cut off, and a dot is at the edge. */
const range = { low: 0.5, high: 2 };

type Row = {
  row: string;
  panel: string;
  ratio: number;
  low: number;
  high: number;
  verdict: Verdict;
  text: string;
  title: string;
};

const panels: Record<Width, Record<HeadlineMetric, string>> = {
  wide: { serverCpuUs: 'Server CPU a request: less is better', throughput: 'Throughput: more is better' },
  narrow: { serverCpuUs: 'CPU a request: ← good', throughput: 'Throughput: good →' },
};

const colours: Record<Verdict, string> = {
  better: 'var(--better)',
  worse: 'var(--worse)',
  same: 'var(--same)',
  open: 'var(--muted)',
};

function draw(all: HeadlinePoint[], width: Width): string {
  const { document } = parseHTML('<html><body></body></html>');
  const { width: pixels, labels, font, row, end, ticks } = sizes[width];
  const rows = all.flatMap((one) => rowsOf(one, width));
  const domain = all.map(rowName);
  const svg = Plot.plot({
    document,
    width: pixels,
    height: 64 + domain.length * row,
    marginLeft: labels,
    marginRight: 4,
    marginTop: 34,
    marginBottom: 30,
    style: { fontSize: `${font}px`, background: 'none' },
    fx: { domain: Object.values(panels[width]), label: null, padding: 0.08 },
    x: {
      type: 'log',
      domain: [range.low / 1.06, end],
      label: null,
      ticks,
      tickFormat: '~g',
    },
    y: { type: 'band', domain, label: null, padding: 0.2, tickSize: 0 },
    marks: marksOf(rows, end),
  });
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', 'Ratios to stock I/O, a row a point');
  return svg.outerHTML;
}

function marksOf(rows: Row[], end: number): Plot.Markish[] {
  const margin = 1 + usualRule.margin;
  const at = { fx: 'panel', y: 'row' };
  const colour = (one: Row) => colours[one.verdict];
  const isDecided = ({ verdict }: Row) => verdict !== 'open';
  const dot = { ...at, x: 'ratio', r: 4.5, strokeWidth: 1.8, title: 'title' };
  return [
    Plot.rect([{}], { x1: 1 / margin, x2: margin, fill: 'var(--band)' }),
    Plot.ruleX([1], { stroke: 'var(--muted)' }),
    Plot.ruleY(rows, { ...at, x1: 'low', x2: 'high', stroke: colour, strokeWidth: 1.8 }),
    Plot.dot(rows.filter(isDecided), { ...dot, fill: colour, stroke: colour }),
    Plot.dot(
      rows.filter((one) => !isDecided(one)),
      { ...dot, fill: 'var(--card)', stroke: colour },
    ),
    Plot.text(rows, { ...at, x: end, text: 'text', textAnchor: 'end', fill: colour }),
  ];
}

function rowsOf(one: HeadlinePoint, width: Width): Row[] {
  return (['serverCpuUs', 'throughput'] as const).flatMap((metric): Row[] => {
    const { interval, verdict } = one.answers[metric];
    if (!interval) return [];
    const inRange = (ratio: number) => Math.min(range.high, Math.max(range.low, ratio));
    return [
      {
        row: rowName(one),
        panel: panels[width][metric],
        ratio: inRange(interval.ratio),
        low: inRange(interval.low),
        high: inRange(interval.high),
        verdict,
        text: formatRatio(interval.ratio),
        title: `${pointName(one)}: ${formatRatio(interval.ratio)}, ${rangeWords(interval)}, ${verdict}`,
      },
    ];
  });
}

const rowName = ({ application, point, points }: HeadlinePoint) =>
  `${application}, ${shortWords(point, points)}`;
