import Table from 'cli-table3';
import type { ComparedMetric } from '../metrics/log-ratios.js';
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
import { isBounded, type Ratio } from './ratios.js';
import type { Estimate } from './statistics.js';

/** A column of the table; some are only there where they have something to show. */
type Column = { head: string; text(cell: Cell): string };

function columnsOf(section: Section): Column[] {
  const withReuseport = section.cells.some((cell) => cell.ratiosToReuseport.throughput);
  const ofReuseport = (metric: ComparedMetric) =>
    withReuseport
      ? [
          {
            head: 'of reuseport',
            text: ({ ratiosToReuseport }: Cell) => shortRatio(ratiosToReuseport[metric]),
          },
        ]
      : [];
  const ofBaseline = (metric: ComparedMetric) => ({
    head: 'of baseline',
    text: ({ ratios }: Cell) => shortRatio(ratios[metric]),
  });
  return [
    { head: 'Variant', text: ({ variant }) => variant.id },
    { head: 'CPU/\nrequest', text: ({ serverCpuUs }) => medianOf(serverCpuUs, formatUs) },
    ofBaseline('serverCpuUs'),
    // A terminal has 120 columns; the page has everything.
    ...(withReuseport ? [] : [{ ...ofBaseline('requestsPerCpuS'), head: 'Requests/CPU-\nsecond, of it' }]),
    { head: 'Through-\nput', text: ({ throughput }) => medianOf(throughput, formatThroughput) },
    ofBaseline('throughput'),
    ...ofReuseport('throughput'),
    { head: 'Calls/\nrequest', text: ({ systemCalls }) => medianOf(systemCalls, formatCount) },
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

/** Short, so that the table fits a terminal of 120 columns; `?` at what is not decided. */
function shortRatio(ratio: Ratio | undefined): string {
  if (!ratio) return '';
  const { low, high, verdict } = ratio;
  const bounds = isBounded(ratio) ? ` ${low.toFixed(2)}–${high.toFixed(2)}` : '';
  return `${formatRatio(ratio.ratio)}${bounds}${verdict === 'open' ? '?' : ''}`;
}

/** Of two runs. */
export function shortMedianRatio({ median, low, high, samples }: Estimate): string {
  return `${formatRatio(median)}${samples > 1 ? ` ${low.toFixed(2)}–${high.toFixed(2)}` : ''}`;
}

/** How many samples there are, and how many of them failed. */
export function sampleCount({ timed, failed }: Cell): string {
  return failed > 0 ? `${timed}, ${failed} failed` : String(timed);
}
