import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { Point, Variant } from '../results.js';
import { lookOf } from './palette.js';
import { type Axis, pointLabel, pointWords } from './points.js';
import type { Estimate } from './statistics.js';
import type { Cell, Section } from './summary.js';

/** What a figure shows of each cell. */
export type FigureSpec = {
  title(axis: Axis): string;
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

/**
 * Draw a quantity, each median with its interval: over requests per connection, as in the paper's Fig. 5, or for each
 * workload over cores, as in its Fig. 7. Where there is one number of cores, the variants stand side by side.
 */
export function drawFigure(section: Section, spec: FigureSpec): Figure | undefined {
  const lines = section.variants.flatMap((variant, index) => lineOf(section, spec, variant, index));
  if (lines.length === 0) return undefined;
  return { wide: draw(section, spec, lines, 560, 300), narrow: draw(section, spec, lines, 350, 300) };
}

type Dot = { x: string; facet: string; y: number; low: number; high: number; title: string };
type Line = { variant: Variant; dots: Dot[]; shift: number };

/** Points that differ in the workload alone leave nothing to draw a line over. */
function standSideBySide({ axis, points }: Section): boolean {
  return axis === 'cores' && new Set(points.map(({ cores }) => cores)).size === 1;
}

function lineOf(section: Section, spec: FigureSpec, variant: Variant, index: number): Line[] {
  const dots = section.points.flatMap((point) => dotAt(section, spec, variant, point));
  // Side by side, so that intervals at the same point do not cover each other.
  const shift = standSideBySide(section) ? 0 : (index - (section.variants.length - 1) / 2) * 4;
  return dots.length > 0 ? [{ variant, dots, shift }] : [];
}

function dotAt(section: Section, spec: FigureSpec, variant: Variant, point: Point): Dot[] {
  const cell = section.cell(variant.id, point);
  const value = cell && spec.value(cell);
  if (!value) return [];
  const { median: y, low, high, samples } = value;
  const range = samples > 1 ? `, ${spec.format(low)} to ${spec.format(high)}` : '';
  const place = section.axis === 'cores' ? pointWords(point) : pointLabel(point);
  const title = `${variant.id} at ${place}: ${spec.format(y)}${range} (${samples} samples)`;
  const x = standSideBySide(section) ? variant.id : pointLabel(point);
  return [{ x, facet: point.workload, y, low, high, title }];
}

function draw(section: Section, spec: FigureSpec, lines: Line[], width: number, height: number): string {
  const { document } = parseHTML('<html><body></body></html>');
  const svg = Plot.plot({
    document,
    width,
    height,
    marginLeft: 52,
    // The workloads’ names are over their panels, below the name of the y axis.
    marginTop: section.axis === 'cores' ? 42 : 28,
    marginBottom: 42,
    style: { fontSize: '12px', background: 'none' },
    ...xScales(section),
    y: yScale(spec),
    marks: [
      ...(spec.reference === undefined ? [] : [Plot.ruleY([spec.reference], { strokeDasharray: '4 4' })]),
      ...lines.flatMap((line) => marksOf(section, spec, line)),
    ],
  });
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', spec.title(section.axis));
  return svg.outerHTML;
}

/** A panel for each workload, where a run has several. */
function xScales(section: Section): Pick<Plot.PlotOptions, 'x' | 'fx'> {
  const { axis, points, variants } = section;
  const labels = [...new Set(points.map(pointLabel))];
  if (axis === 'requestsPerConnection')
    return { x: { type: 'point', domain: labels, label: 'requests per connection', padding: 0.5 } };
  const fx = { domain: [...new Set(points.map(({ workload }) => workload))], label: null, padding: 0.15 };
  if (standSideBySide(section))
    return { fx, x: { type: 'band', domain: variants.map(({ id }) => id), axis: null, padding: 0.2 } };
  return { fx, x: { type: 'point', domain: labels, label: 'cores of the server', padding: 0.5 } };
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

function marksOf(section: Section, spec: FigureSpec, { variant, dots, shift }: Line): Plot.Markish[] {
  const { color, dash, symbol } = lookOf(variant);
  const at = { x: 'x', dx: shift, ...(section.axis === 'cores' ? { fx: 'facet' } : {}) };
  const interval = Plot.ruleX(dots, { ...at, y1: 'low', y2: 'high', stroke: color, strokeWidth: 1.5 });
  const dot = Plot.dot(dots, { ...at, y: 'y', fill: color, symbol, r: 4, title: 'title' });
  if (!standSideBySide(section)) {
    const line = { ...at, y: 'y', stroke: color, strokeWidth: 1.5, strokeDasharray: dash };
    return [Plot.lineY(dots, line), interval, dot];
  }
  // A bar is as high as its quantity: not so on a logarithmic axis, or on one that does not begin at nothing.
  if (spec.logarithmic || spec.reference !== undefined) return [interval, dot];
  const bar = Plot.barY(dots, { ...at, y: 'y', fill: color, title: 'title' });
  return [bar, Plot.ruleX(dots, { ...at, y1: 'low', y2: 'high', stroke: 'currentColor', strokeWidth: 1.5 })];
}
