import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { Point, Variant } from '../results/schema.js';
import type { FigureSpec } from './figure-specs.js';
import type { Section } from './model.js';
import { lookOf } from './palette.js';
import { type Mark, paperMarks } from './paper-marks.js';
import { axisLabel, axisLabels, panelLabel, pointLabel, pointWords } from './points.js';

/** Two drawings of a figure: one for a wide window and one for a phone, where the same drawing would be illegible. */
export type Figure = {
  wide: string;
  narrow: string /** Of many panels: it takes the page's width. */;
  broad: boolean;
};

/**
 * Draw a quantity along a section's axis, each median with its interval, in a panel for each value of what the panels
 * differ in; grey is what the paper has. Where the axis has one value, the variants stand side by side.
 */
export function drawFigure(section: Section, spec: FigureSpec): Figure | undefined {
  const lines = section.variants.flatMap((variant, index) => lineOf(section, spec, variant, index));
  if (lines.length === 0) return undefined;
  const drawing = { section, spec, lines, marks: paperMarks(section, spec.name) };
  return { wide: draw(drawing, 'wide'), narrow: draw(drawing, 'narrow'), broad: isBroad(drawing) };
}

const isBroad = (drawing: Drawing) => drawing.section.facet !== undefined && panelsOf(drawing).length > 3;

type Dot = { x: string; panel: string; y: number; low: number; high: number; title: string };
type Line = { variant: Variant; dots: Dot[]; shift: number };
type Drawing = { section: Section; spec: FigureSpec; lines: Line[]; marks: Mark[] };
type Width = 'wide' | 'narrow';

const panelsOf = ({ section }: Drawing) => [
  ...new Set(section.points.map((point) => panelLabel(section, point))),
];

/** Points that differ in the panel alone leave nothing to draw a line over. */
function standSideBySide({ facet, axis, points }: Section): boolean {
  return facet !== undefined && new Set(points.map((point) => point[axis])).size === 1;
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
  const place = section.axis === 'requestsPerConnection' ? pointLabel : pointWords;
  const title = `${variant.id} at ${place(section, point)}: ${spec.format(y)}${range} (${samples} samples)`;
  const x = standSideBySide(section) ? variant.id : pointLabel(section, point);
  return [{ x, panel: panelLabel(section, point), y, low, high, title }];
}

const panelHeight = 190;

function draw(drawing: Drawing, width: Width): string {
  const { section, spec, lines, marks } = drawing;
  const { document } = parseHTML('<html><body></body></html>');
  const panels = section.facet ? panelsOf(drawing).length : 1;
  const svg = Plot.plot({
    document,
    width: width === 'wide' ? (isBroad(drawing) ? 1136 : 560) : 350,
    height: width === 'narrow' && panels > 1 ? 60 + panels * panelHeight : 300,
    marginLeft: 52,
    // The names of the panels are over them, below the name of the y axis.
    marginTop: section.facet ? 42 : 28,
    marginBottom: 42,
    ...(width === 'narrow' && panels > 1 ? { marginRight: 24 } : {}),
    style: { fontSize: '12px', background: 'none' },
    ...scales(drawing, width),
    y: yScale(drawing),
    marks: [
      ...(spec.reference === undefined ? [] : [Plot.ruleY([spec.reference], { strokeDasharray: '4 4' })]),
      ...paperLines(drawing, marks, width),
      ...lines.flatMap((line) => marksOf(drawing, line, width)),
    ],
  });
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', spec.title);
  return svg.outerHTML;
}

/** Panels beside each other; on a phone one below the other. */
const channelOf = (width: Width) => (width === 'wide' ? 'fx' : 'fy');

function scales(drawing: Drawing, width: Width): Pick<Plot.PlotOptions, 'x' | 'fx' | 'fy'> {
  const { section, marks } = drawing;
  const panels = { domain: panelsOf(drawing), label: null, padding: width === 'wide' ? 0.15 : 0.25 };
  const facets = section.facet ? { [channelOf(width)]: panels } : {};
  if (standSideBySide(section)) {
    const domain = section.variants.map(({ id }) => id);
    return { ...facets, x: { type: 'band', domain, axis: null, padding: 0.2 } };
  }
  const points = [...section.points, ...marks.map(({ point }) => point)];
  const domain = axisLabels(section, points);
  return { ...facets, x: { type: 'point', domain, label: axisLabel(section), padding: 0.5 } };
}

function yScale(drawing: Drawing): Plot.ScaleOptions {
  const { label, logarithmic } = drawing.spec;
  const log = logarithmic ? { type: 'log' as const, ticks: 5, tickFormat: '~g' } : {};
  return { label, grid: true, nice: true, domain: domainOf(drawing), ...log };
}

/**
 * As far as our own dots reach. An interval of few rounds, and what the paper has of eight cores, may be far beyond; they
 * would press the dots together.
 */
function domainOf({ lines, spec: { logarithmic, reference } }: Drawing): [number, number] {
  const dots = lines.flatMap((line) => line.dots);
  const values = [...dots.map(({ y }) => y), ...(reference === undefined ? [] : [reference])];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const low = Math.max(least / farthest, Math.min(least, ...dots.map((dot) => dot.low)));
  const high = Math.min(most * farthest, Math.max(most, ...dots.map((dot) => dot.high)));
  // A ratio is about its distance from 1, a quantity about its distance from nothing.
  const from = logarithmic || reference !== undefined ? low : 0;
  return from < high ? [from, high] : [from, from + 1];
}

/** How far beyond a dot its interval is drawn, as a factor. */
const farthest = 1.5;

/** What the paper has, in grey. */
function paperLines(drawing: Drawing, marks: Mark[], width: Width): Plot.Markish[] {
  const { section, spec } = drawing;
  const [low, high] = domainOf(drawing);
  const dots = marks.map(({ point, value, says }) => {
    const isBeyond = value < low || value > high;
    return {
      x: pointLabel(section, point),
      panel: panelLabel(section, point),
      y: Math.min(high, Math.max(low, value)),
      isBeyond,
      title: `the paper, ${says}: ${spec.format(value)}${isBeyond ? ', beyond the axis' : ''}`,
      says,
    };
  });
  if (dots.length === 0 || standSideBySide(section)) return [];
  const at = { x: 'x', y: 'y', ...(section.facet ? { [channelOf(width)]: 'panel' } : {}) };
  const grey = 'var(--paper)';
  return [
    Plot.lineY(dots, { ...at, z: 'says', stroke: grey, strokeWidth: 1.5 }),
    ...(['times', 'triangle'] as const).map((symbol) =>
      Plot.dot(
        dots.filter(({ isBeyond }) => isBeyond === (symbol === 'triangle')),
        { ...at, stroke: grey, symbol, r: 4, strokeWidth: 2, title: 'title' },
      ),
    ),
  ];
}

function marksOf(drawing: Drawing, { variant, dots, shift }: Line, width: Width): Plot.Markish[] {
  const { section, spec } = drawing;
  const { color, dash, symbol } = lookOf(variant);
  const paint = symbol === 'times' ? { stroke: color, strokeWidth: 2 } : { fill: color };
  const at = { x: 'x', dx: shift, ...(section.facet ? { [channelOf(width)]: 'panel' } : {}) };
  const ends = { ...at, y1: 'low', y2: 'high', strokeWidth: 1.5 };
  const inAxis = dots.map((dot) => cutOff(dot, domainOf(drawing)));
  const interval = Plot.ruleX(inAxis, { ...ends, stroke: color });
  const dot = Plot.dot(dots, { ...at, y: 'y', ...paint, symbol, r: 4, title: 'title' });
  if (!standSideBySide(section)) {
    const line = { ...at, y: 'y', stroke: color, strokeWidth: 1.5, strokeDasharray: dash };
    return [Plot.lineY(dots, line), interval, dot];
  }
  // A bar is as high as its quantity: not so on a logarithmic axis, or on one that does not begin at nothing.
  if (spec.logarithmic || spec.reference !== undefined) return [interval, dot];
  const bar = Plot.barY(dots, { ...at, y: 'y', fill: color, title: 'title' });
  return [bar, Plot.ruleX(inAxis, { ...ends, stroke: 'currentColor' })];
}

/** An interval as far as the axis reaches. */
function cutOff(dot: Dot, [least, most]: [number, number]): Dot {
  return { ...dot, low: Math.max(dot.low, least), high: Math.min(dot.high, most) };
}
