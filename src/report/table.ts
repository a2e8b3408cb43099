import Table from 'cli-table3';
import type { Results } from '../results/schema.js';
import { caveats } from './caveats.js';
import { judgeClaims } from './claims.js';
import { findings } from './findings.js';
import {
  formatCount,
  formatRatio,
  formatThroughput,
  formatUs,
  medianOf,
  sectionName,
  sectionTitle,
} from './format.js';
import type { Cell, Section } from './model.js';
import { pointHeading, pointWords } from './points.js';
import type { Estimate } from './statistics.js';

/** A column of the table; some are only there where they have something to show. */
type Column = { head: string; text(cell: Cell): string };

function columnsOf(section: Section): Column[] {
  const withReuseport = section.cells.some((cell) => cell.ratiosToReuseport.throughput);
  const ofReuseport = {
    head: 'of reuseport',
    text: (cell: Cell) => shortRatio(cell.ratiosToReuseport.throughput),
  };
  return [
    { head: 'Variant', text: ({ variant }) => variant.id },
    { head: 'Through-\nput', text: ({ throughput }) => medianOf(throughput, formatThroughput) },
    { head: 'of baseline', text: ({ ratios }) => shortRatio(ratios.throughput) },
    ...(withReuseport ? [ofReuseport] : []),
    { head: 'CPU/\nrequest', text: ({ serverCpuUs }) => medianOf(serverCpuUs, formatUs) },
    {
      head: 'of base-\nline',
      text: ({ ratios }) =>
        withReuseport ? medianOf(ratios.serverCpuUs, formatRatio) : shortRatio(ratios.serverCpuUs),
    },
    { head: 'Calls/\nrequest', text: ({ systemCalls }) => medianOf(systemCalls, formatCount) },
    // A terminal has 120 columns; the page has everything.
    ...(withReuseport ? [] : [{ head: 'p50', text: ({ p50Us }: Cell) => medianOf(p50Us, formatUs) }]),
    { head: 'p99', text: ({ p99Us }) => medianOf(p99Us, formatUs) },
    { head: 'Samples', text: sampleCount },
  ];
}

/** The whole report for a terminal: a table for each topology, and what follows from them in words. */
export function formatTerminal(results: Results, sections: Section[]): string {
  const tables = sections.map((section) => `${sectionTitle(section)}\n${formatSection(section)}`);
  const words = findings(sections).map(
    ({ section, heading, sentences }) => `${sectionName(section)}: ${heading}\n${bullets(sentences)}`,
  );
  const judged = judgeClaims(results.machine.workload.application, sections).map(
    ({ claim, outcome, seen }) => `${claim}: ${outcome} (${seen})`,
  );
  const claims = judged.length > 0 ? [`What the paper claims\n${bullets(judged)}`] : [];
  return [...tables, ...words, ...claims, `Mind\n${bullets(caveats(results, sections))}`].join('\n\n');
}

function bullets(sentences: string[]): string {
  return sentences.map((sentence) => `- ${sentence}`).join('\n');
}

function formatSection(section: Section): string {
  const { cells, points } = section;
  const columns = columnsOf(section);
  const table = new Table({
    head: [pointHeading(section).replace(' a ', ' a\n'), ...columns.map(({ head }) => head)],
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 1 },
  });
  for (const [index, cell] of cells.entries()) {
    const first = cells[index - 1]?.point !== cell.point;
    table.push([
      first ? broken(pointWords(section, cell.point, points)) : '',
      ...columns.map(({ text }) => text(cell)),
    ]);
  }
  return table.toString();
}

/** Where long words may be in two lines. */
const broken = (words: string) => (words.length > 20 ? words.replaceAll(', ', ',\n') : words);

/** Short, so that the table fits a terminal of 120 columns. */
export function shortRatio(estimate: Estimate | undefined): string {
  if (!estimate) return '';
  const { median, low, high, samples } = estimate;
  return `${formatRatio(median)}${samples > 1 ? ` ${low.toFixed(2)}–${high.toFixed(2)}` : ''}`;
}

/** How many samples there are, and how many of them failed. */
export function sampleCount({ timed, failed }: Cell): string {
  return failed > 0 ? `${timed}, ${failed} failed` : String(timed);
}
