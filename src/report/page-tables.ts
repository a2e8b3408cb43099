import type { ComparedMetric } from '../metrics/log-ratios.js';
import type { FailedSample, Results } from '../results/schema.js';
import {
  formatCount,
  formatRatio,
  formatShare,
  formatThousands,
  formatThroughput,
  formatUs,
  rangeWords,
  topologyTitle,
} from './format.js';
import { html, type Markup } from './markup.js';
import type { Cell, Section } from './model.js';
import { pointHeading, pointInFull, pointWords } from './points.js';
import { isBounded, type Ratio } from './ratios.js';
import type { Estimate } from './statistics.js';
import { sampleCount } from './table.js';
import { verdictOf } from './verdict.js';

/** Every number of a topology's figures, with its interval. */
export function resultTable(section: Section): Markup {
  const { cells } = section;
  const shown = shownOf(section);
  const hostCpu = !shown.hostCpu
    ? ''
    : html`<th>Server CPUs’ work a request</th><th>of it soft interrupts</th>`;
  const ofReuseport = shown.reuseport ? html`<th>of reuseport</th>` : '';
  return html`<div class="scroll"><table>
<thead><tr><th>${pointHeading(section)}</th><th class="left">Variant</th><th>Server CPU a request</th><th>of baseline</th>${ofReuseport}${hostCpu}<th>Requests per CPU-second of both sides</th><th>of baseline</th><th>Throughput</th>${shown.speedup ? html`<th>Speed-up over one core</th>` : ''}<th>of baseline</th>${ofReuseport}<th>System calls a request</th>${shown.channels ? html`<th>Crossings a request</th><th>Operations a crossing</th>` : ''}<th>p50</th><th>p99</th><th>Server’s CPUs idle</th><th>Limit</th><th>Samples</th></tr></thead>
<tbody>${cells.map((cell, index) => row(section, cell, cells[index - 1]?.point !== cell.point, shown))}</tbody>
</table></div>`;
}

/** Columns that are only there where they have something to show. */
type Shown = { hostCpu: boolean; reuseport: boolean; speedup: boolean; channels: boolean };

function shownOf({ cells, topology }: Section): Shown {
  return {
    hostCpu: !topology.sharesCpus,
    reuseport: cells.some(({ ratiosToReuseport }) => ratiosToReuseport.throughput),
    speedup: cells.some(({ speedup }) => speedup),
    channels: cells.some(({ crossings }) => crossings),
  };
}

function row(section: Section, cell: Cell, first: boolean, shown: Shown): Markup {
  const { ratios, ratiosToReuseport } = cell;
  const ofReuseport = (metric: ComparedMetric) =>
    shown.reuseport ? ratioCell(ratiosToReuseport[metric]) : '';
  return html`<tr class="${first ? 'first' : ''}"><td>${first ? pointWords(section, cell.point, section.points) : ''}</td><td class="left">${cell.variant.id}</td>
${number(cell.serverCpuUs, formatUs)}${ratioCell(ratios.serverCpuUs)}${ofReuseport('serverCpuUs')}
${shown.hostCpu ? html`${number(cell.hostCpuUs, formatUs)}${number(cell.softirqShare, formatShare)}` : ''}
${number(cell.requestsPerCpuS, formatThousands)}${ratioCell(ratios.requestsPerCpuS)}
${number(cell.throughput, formatThroughput)}${shown.speedup ? number(cell.speedup, formatRatio) : ''}${ratioCell(ratios.throughput)}${ofReuseport('throughput')}
${number(cell.systemCalls, formatCount)}${shown.channels ? html`${number(cell.crossings, formatCount)}${number(cell.operationsPerCrossing, formatCount)}` : ''}
${number(cell.p50Us, formatUs)}${number(cell.p99Us, formatUs)}${number(cell.serverIdle, formatShare)}
<td>${cell.limit ?? ''}</td><td>${sampleCount(cell)}</td></tr>`;
}

function number(estimate: Estimate | undefined, format: (value: number) => string): Markup {
  if (!estimate) return html`<td>–</td>`;
  return html`<td>${format(estimate.median)}${interval(estimate, format)}</td>`;
}

/** A ratio with what it can be, coloured where it is decided. */
function ratioCell(ratio: Ratio | undefined): Markup {
  if (!ratio) return html`<td></td>`;
  const { verdict } = ratio;
  const colour = verdict === 'better' || verdict === 'worse' ? verdict : '';
  const bounds = isBounded(ratio) ? rangeWords(ratio) : 'or anything';
  const open = verdict === 'open' ? ', open' : '';
  return html`<td class="${colour}">${formatRatio(ratio.ratio)}<span class="interval">${bounds}${open}</span></td>`;
}

/** A ratio of medians of two runs with its interval, coloured where that excludes 1. */
export function medianRatioCell(estimate: Estimate | undefined, good: 'above' | 'below'): Markup {
  if (!estimate) return html`<td></td>`;
  const verdict = verdictOf(estimate);
  const colour = verdict === good ? 'better' : verdict === 'above' || verdict === 'below' ? 'worse' : '';
  return html`<td class="${colour}">${formatRatio(estimate.median)}${interval(estimate, formatRatio)}</td>`;
}

function interval({ low, high, samples }: Estimate, format: (value: number) => string): Markup | undefined {
  return samples > 1 ? html`<span class="interval">${format(low)} to ${format(high)}</span>` : undefined;
}

/** What could not be measured, and what failed while it was. */
export function sampleTables({ samples, skips }: Results): Markup {
  const failed = samples.filter((sample) => sample.status === 'failed');
  const skipList = html`<ul>${skips.map(({ what, reason }) => html`<li>${what}: ${reason}</li>`)}</ul>`;
  return html`<section>
<h2>Failed and not measured</h2>
${failed.length > 0 ? failedTable(failed) : html`<p>No sample failed.</p>`}
${skips.length > 0 ? skipList : html`<p>Nothing was left out.</p>`}
</section>`;
}

function failedTable(failed: FailedSample[]): Markup {
  return html`<div class="scroll"><table>
<thead><tr><th>Topology</th><th class="left">Variant</th><th>Point</th><th>Round</th><th class="left">Reason</th></tr></thead>
<tbody>${failed.map(
    ({ topology, variant, point, round, kind, reason }) =>
      html`<tr><td>${topologyTitle(topology)}</td><td class="left">${variant.id}</td><td>${pointInFull(point)}</td><td>${round + 1}${kind === 'traced' ? ', traced' : ''}</td><td class="words">${reason}</td></tr>`,
  )}</tbody></table></div>`;
}
