import type { Point, TopologyName } from '../results/schema.js';
import type { Interval } from '../statistics/confidence-sequence.js';
import type { Section } from './model.js';
import { type Placing, placeInSentence } from './points.js';
import { isBounded, type Ratio } from './ratios.js';
import type { Estimate } from './statistics.js';

/** Three significant digits, without an exponent. */
export function digits(value: number): string {
  if (value === 0) return '0';
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(decimals, 3));
}

export const formatThroughput = (perSecond: number) => `${digits(perSecond / 1000)}k/s`;
export const formatThousands = (count: number) => `${digits(count / 1000)}k`;
export const formatUs = (us: number) => (us >= 1000 ? `${digits(us / 1000)} ms` : `${digits(us)} µs`);
export const formatRatio = (ratio: number) => `×${ratio.toFixed(2)}`;
export const formatPercent = (share: number) =>
  `${share < 0 ? '−' : '+'}${Math.abs(share * 100).toFixed(1)} %`;
export const formatShare = (share: number) => `${(share * 100).toFixed(0)} %`;
export const formatCount = (count: number) => digits(count);

/** `45 s`, `9 min 40 s`, `2 h 5 min`. */
export function formatDuration(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s} s`;
  const min = Math.floor(s / 60);
  return min < 60 ? `${min} min ${s % 60} s` : `${Math.floor(min / 60)} h ${min % 60} min`;
}

/** `1.28 to 1.36`: what a ratio can be. */
export function rangeWords(interval: Interval): string {
  const { low, high } = interval;
  return isBounded(interval) ? `${low.toFixed(2)} to ${high.toFixed(2)}` : 'anything';
}

/** Of what is not decided: `×1.37, could be 0.50 to 2.50`. */
export function openWords(interval: Interval): string {
  return `${formatRatio(interval.ratio)}, could be ${rangeWords(interval)}`;
}

/** Of any: `×1.32 (1.28 to 1.36)`, `not decided: ×1.37, could be 0.50 to 2.50`. */
export function ratioWords(ratio: Ratio): string {
  if (ratio.verdict === 'open') return `not decided: ${openWords(ratio)}`;
  return `${formatRatio(ratio.ratio)} (${rangeWords(ratio)})`;
}

export function medianOf(estimate: Estimate | undefined, format: (value: number) => string): string {
  return estimate ? format(estimate.median) : '–';
}

const topologyTitles: Record<TopologyName, string> = {
  loopback: 'One host (loopback)',
  'one-core': 'One core (server and clients on it)',
  'netns-3': 'Three client hosts (namespaces, CPUs of their own)',
  netns: 'Separate hosts (namespaces, CPUs of their own)',
  'netns-shared': 'Separate hosts (namespaces, all CPUs shared)',
};

export const topologyTitle = (name: TopologyName) => topologyTitles[name];

/** Where, and what is varied. */
export const sectionName = ({ topology, view }: Section) =>
  `${topologyTitle(topology.name)}: ${view.title.toLowerCase()}`;

/** Over a section, with the paper's figures that show the same. */
export function sectionTitle(section: Section): string {
  const { paper } = section.view;
  return `${sectionName(section)}${paper ? ` (the paper’s ${paper})` : ''}`;
}

/** `1, 10 and unlimited`. */
export function listOf(words: string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** A value at a point, in words. */
type Valued = { point: Point; value: number; text: string };

/** A few values one by one, many by their range. */
export function describeValues(placing: Placing, values: Valued[]): string {
  const { at, unit } = placeInSentence(
    placing,
    values.map(({ point }) => point),
  );
  const words = ({ point, text }: Valued) => `${text} ${at(point)}`;
  if (values.length <= 3) return `${listOf(values.map(words))}${unit}`;
  const sorted = [...values].sort((a, b) => a.value - b.value);
  return `from ${words(sorted[0] as Valued)} to ${words(sorted.at(-1) as Valued)}${unit}`;
}
