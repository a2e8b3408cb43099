import type { FailedSample, Results } from '../results.js';
import {
  formatCount,
  formatRatio,
  formatShare,
  formatThroughput,
  formatUs,
  pointWords,
  topologyTitle,
} from './format.js';
import { html, type Markup } from './markup.js';
import type { Estimate } from './statistics.js';
import type { Cell, Section } from './summary.js';
import { sampleCount } from './table.js';
import { verdictOf } from './verdict.js';

/** Every number of a topology's figures, with its interval. */
export function resultTable({ cells, variants, topology }: Section): Markup {
  const hostCpu = topology.sharesCpus
    ? ''
    : html`<th>Server CPUs’ work a request</th><th>of it soft interrupts</th>`;
  return html`<div class="scroll"><table>
<thead><tr><th>Requests a connection</th><th class="left">Variant</th><th>Throughput</th><th>of baseline</th><th>Server CPU a request</th><th>of baseline</th>${hostCpu}<th>System calls a request</th><th>Crossings a request</th><th>Operations a crossing</th><th>p50</th><th>p99</th><th>Server’s CPUs idle</th><th>Limit</th><th>Samples</th></tr></thead>
<tbody>${cells.map((cell, index) => row(cell, index % variants.length === 0, topology.sharesCpus))}</tbody>
</table></div>`;
}

function row(cell: Cell, first: boolean, sharesCpus: boolean): Markup {
  return html`<tr class="${first ? 'first' : ''}"><td>${first ? pointWords(cell.requestsPerConnection) : ''}</td><td class="left">${cell.variant.id}</td>
${number(cell.throughput, formatThroughput)}${ratio(cell.ratios.throughput, 'above')}
${number(cell.serverCpuUs, formatUs)}${ratio(cell.ratios.serverCpuUs, 'below')}
${sharesCpus ? '' : html`${number(cell.hostCpuUs, formatUs)}${number(cell.softirqShare, formatShare)}`}
${number(cell.systemCalls, formatCount)}${number(cell.crossings, formatCount)}${number(cell.operationsPerCrossing, formatCount)}
${number(cell.p50Us, formatUs)}${number(cell.p99Us, formatUs)}${number(cell.serverIdle, formatShare)}
<td>${cell.limit ?? ''}</td><td>${sampleCount(cell)}</td></tr>`;
}

function number(estimate: Estimate | undefined, format: (value: number) => string): Markup {
  if (!estimate) return html`<td>–</td>`;
  return html`<td>${format(estimate.median)}${interval(estimate, format)}</td>`;
}

/** Coloured only where the interval excludes 1. */
function ratio(estimate: Estimate | undefined, good: 'above' | 'below'): Markup {
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
<thead><tr><th>Topology</th><th class="left">Variant</th><th>Requests a connection</th><th>Round</th><th class="left">Reason</th></tr></thead>
<tbody>${failed.map(
    ({ topology, variant, requestsPerConnection, round, kind, reason }) =>
      html`<tr><td>${topologyTitle(topology)}</td><td class="left">${variant.id}</td><td>${pointWords(requestsPerConnection)}</td><td>${round + 1}${kind === 'traced' ? ', traced' : ''}</td><td class="words">${reason}</td></tr>`,
  )}</tbody></table></div>`;
}
