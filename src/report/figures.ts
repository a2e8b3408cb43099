import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { RequestsPerConnection, Variant } from '../results.js';
import { pointLabel } from './format.js';
import { lookOf } from './palette.js';
import type { Estimate } from './statistics.js';
import type { Cell, Section } from './summary.js';

/** What a figure shows of each cell. */
export type FigureSpec = {
  title: string;
  /** The y axis, with its unit. */
  label: string;
  value(cell: Cell): Estimate | undefined;
  /** For the text that appears over a point. */
  format(value: number): string;
  /** A horizontal line that means "no difference". */
  reference?: number;
  logarithmic?: boolean;
};

/** Two drawings of a figure: one for a wide window and one for a phone, where the same drawing would be illegible. */
export type Figure = { wide: string; narrow: string };

/** Draw a quantity over requests per connection, as in the paper's Fig. 5, each median with its interval. */
export function drawFigure(section: Section, spec: FigureSpec): Figure | undefined {
  const lines = section.variants.flatMap((variant, index) => lineOf(section, spec, variant, index));
  if (lines.length === 0) return undefined;
  return { wide: draw(section, spec, lines, 560, 300), narrow: draw(section, spec, lines, 350, 300) };
}

type Dot = { x: string; y: number; low: number; high: number; title: string };
type Line = { variant: Variant; dots: Dot[]; shift: number };

function lineOf(section: Section, spec: FigureSpec, variant: Variant, index: number): Line[] {
  const dots = section.points.flatMap((point) => dotAt(section, spec, variant, point));
  // Side by side, so that intervals at the same point do not cover each other.
  const shift = (index - (section.variants.length - 1) / 2) * 4;
  return dots.length > 0 ? [{ variant, dots, shift }] : [];
}

function dotAt(section: Section, spec: FigureSpec, variant: Variant, point: RequestsPerConnection): Dot[] {
  const cell = section.cell(variant.id, point);
  const value = cell && spec.value(cell);
  if (!value) return [];
  const { median: y, low, high, samples } = value;
  const range = samples > 1 ? `, ${spec.format(low)} to ${spec.format(high)}` : '';
  const title = `${variant.id} at ${pointLabel(point)}: ${spec.format(y)}${range} (${samples} samples)`;
  return [{ x: pointLabel(point), y, low, high, title }];
}

function draw(section: Section, spec: FigureSpec, lines: Line[], width: number, height: number): string {
  const { document } = parseHTML('<html><body></body></html>');
  const svg = Plot.plot({
    document,
    width,
    height,
    marginLeft: 52,
    marginTop: 28,
    marginBottom: 42,
    style: { fontSize: '12px', background: 'none' },
    x: {
      type: 'point',
      domain: section.points.map(pointLabel),
      label: 'requests per connection',
      padding: 0.5,
    },
    y: yScale(spec),
    marks: [
      ...(spec.reference === undefined ? [] : [Plot.ruleY([spec.reference], { strokeDasharray: '4 4' })]),
      ...lines.flatMap(marksOf),
    ],
  });
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', spec.title);
  return svg.outerHTML;
}

function yScale({ label, logarithmic, reference }: FigureSpec): Plot.ScaleOptions {
  return {
    label,
    grid: true,
    nice: true,
    // A ratio is about its distance from 1, a quantity about its distance from nothing.
    ...(logarithmic
      ? { type: 'log' as const, ticks: 5, tickFormat: '~g' }
      : { zero: reference === undefined }),
  };
}

function marksOf({ variant, dots, shift }: Line): Plot.Markish[] {
  const { color, dash, symbol } = lookOf(variant);
  const at = { x: 'x', dx: shift };
  return [
    Plot.lineY(dots, { ...at, y: 'y', stroke: color, strokeWidth: 1.5, strokeDasharray: dash }),
    Plot.ruleX(dots, { ...at, y1: 'low', y2: 'high', stroke: color, strokeWidth: 1.5 }),
    Plot.dot(dots, { ...at, y: 'y', fill: color, symbol, r: 4, title: 'title' }),
  ];
}
