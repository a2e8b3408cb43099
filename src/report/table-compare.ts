import Table from 'cli-table3';
import type { Comparison, Pair, SharedSection } from './compare.js';
import { formatThroughput, formatUs, medianOf, sectionTitle } from './format.js';
import { pointHeading, pointWords } from './points.js';
import type { Estimate } from './statistics.js';
import { shortMedianRatio } from './table.js';
import { verdictOf } from './verdict.js';

/** Two runs side by side, for a terminal. */
export function formatComparisonTables(comparisons: Comparison[]): string {
  return comparisons
    .flatMap(({ application, differences, sections }) => [
      `${application}: not the same: ${differences.map(({ what }) => what).join(', ')}`,
      ...sections.map((section) => `${sectionTitle(section.first)}\n${tableOf(section)}`),
    ])
    .join('\n\n');
}

function tableOf({ first: section, pairs }: SharedSection): string {
  const table = new Table({
    head: [
      pointHeading(section).replace(' a ', ' a\n'),
      'Variant',
      ...['Through-\nput, 1st', '2nd', 'ratio'],
      ...['CPU/request,\n1st', '2nd', 'ratio'],
    ],
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 1 },
  });
  for (const [index, pair] of pairs.entries()) {
    const isFirst = pairs[index - 1]?.point !== pair.point;
    table.push([
      isFirst ? pointWords(section, pair.point, section.points) : '',
      pair.variant.id,
      ...columns(pair, 'throughput', formatThroughput),
      ...columns(pair, 'serverCpuUs', formatUs),
    ]);
  }
  return table.toString();
}

function columns(
  { first, second, ratios }: Pair,
  key: 'throughput' | 'serverCpuUs',
  format: (n: number) => string,
) {
  return [medianOf(first[key], format), medianOf(second[key], format), ratio(ratios[key])];
}

/** A star where the interval excludes 1. */
function ratio(estimate: Estimate | undefined): string {
  if (!estimate) return '–';
  const verdict = verdictOf(estimate);
  const decided = verdict === 'above' || verdict === 'below';
  return `${shortMedianRatio(estimate)}${decided ? ' *' : ''}`;
}
