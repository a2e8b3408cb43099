import Table from 'cli-table3';
import type { Results } from '../results.js';
import { caveats } from './caveats.js';
import { findings } from './findings.js';
import {
  formatCount,
  formatRatio,
  formatThroughput,
  formatUs,
  medianOf,
  pointWords,
  topologyTitle,
} from './format.js';
import type { Estimate } from './statistics.js';
import type { Cell, Section } from './summary.js';

const head = [
  'Requests/\nconnection',
  'Variant',
  'Throughput',
  'of baseline',
  'Server CPU/\nrequest',
  'of baseline',
  'Calls/\nrequest',
  'p50',
  'p99',
  'Samples',
];

/** The whole report for a terminal: a table for each topology, and what follows from them in words. */
export function formatTerminal(results: Results, sections: Section[]): string {
  const tables = sections.map(
    (section) => `${topologyTitle(section.topology.name)}\n${formatSection(section)}`,
  );
  const words = findings(sections).map(
    ({ topology, heading, sentences }) => `${topologyTitle(topology)}: ${heading}\n${bullets(sentences)}`,
  );
  return [...tables, ...words, `Mind\n${bullets(caveats(results, sections))}`].join('\n\n');
}

function bullets(sentences: string[]): string {
  return sentences.map((sentence) => `- ${sentence}`).join('\n');
}

function formatSection({ cells, variants }: Section): string {
  const table = new Table({
    head,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 1 },
  });
  for (const [index, cell] of cells.entries()) {
    const first = index % variants.length === 0;
    table.push(rowOf(cell, first ? pointWords(cell.requestsPerConnection) : ''));
  }
  return table.toString();
}

function rowOf(cell: Cell, point: string): string[] {
  return [
    point,
    cell.variant.id,
    medianOf(cell.throughput, formatThroughput),
    ratio(cell.ratios.throughput),
    medianOf(cell.serverCpuUs, formatUs),
    ratio(cell.ratios.serverCpuUs),
    medianOf(cell.systemCalls, formatCount),
    medianOf(cell.p50Us, formatUs),
    medianOf(cell.p99Us, formatUs),
    sampleCount(cell),
  ];
}

/** Short, so that the table fits a terminal of 120 columns. */
function ratio(estimate: Estimate | undefined): string {
  if (!estimate) return '';
  const { median, low, high, samples } = estimate;
  return `${formatRatio(median)}${samples > 1 ? ` ${low.toFixed(2)}–${high.toFixed(2)}` : ''}`;
}

/** How many samples there are, and how many of them failed. */
export function sampleCount({ timed, failed }: Cell): string {
  return failed > 0 ? `${timed}, ${failed} failed` : String(timed);
}
