import type { MachineRecord, RequestsPerConnection } from '../results.js';
import { wholeVariants } from './findings.js';
import {
  formatPercent,
  formatRatio,
  listOf,
  pointLabel,
  pointWords,
  topologyTitle,
  withInterval,
} from './format.js';
import { html, type Markup } from './markup.js';
import { paperOnMemcached, paperSetting, paperTable3 } from './paper.js';
import type { Estimate } from './statistics.js';
import type { Section } from './summary.js';
import { type Accumulation, accumulations } from './techniques.js';

/** The paper's own numbers on this application, as far as its words give them, beside ours. */
export function paperSection({ workload }: MachineRecord, sections: Section[]): Markup | undefined {
  if (workload.application !== 'memcached') return undefined;
  return html`<section>
<h2>Beside the paper</h2>
<p>The paper measured ${paperSetting}. What it says of the gains in throughput, and what was measured here:</p>
<div class="scroll"><table>
<thead><tr><th>The paper</th><th class="left">Measured here, of the baseline’s throughput</th></tr></thead>
<tbody><tr>
<td class="words paper"><ul>${paperOnMemcached.map(({ says, where }) => html`<li>${says} (${where})</li>`)}</ul></td>
<td class="words"><ul>${sections.flatMap(measuredHere).map((line) => html`<li>${line}</li>`)}</ul></td>
</tr></tbody>
</table></div>
${sections.some((section) => accumulations(section).length > 0) ? publishedTable() : undefined}
</section>`;
}

function measuredHere(section: Section): string[] {
  return wholeVariants(section.variants).flatMap(({ id }) => {
    const ratios = section.points.flatMap((point) => {
      const ratio = section.cell(id, point)?.ratios.throughput;
      return ratio ? [`${withInterval(ratio, formatRatio)} at ${pointWords(point)}`] : [];
    });
    return ratios.length > 0 ? [`${topologyTitle(section.topology.name)}, ${id}: ${listOf(ratios)}`] : [];
  });
}

/** The paper's Table 3 in our numbers. */
export function techniqueTables(section: Section): Markup | undefined {
  const measured = accumulations(section);
  if (measured.length === 0) return undefined;
  return html`<h3>What each technique added (the form of the paper’s Table 3)</h3>
${measured.map((one) => measuredTable(one, section.points))}`;
}

function measuredTable({ engine, steps }: Accumulation, points: RequestsPerConnection[]): Markup {
  const cell = (gain: Estimate | undefined) => html`<td>${gain ? gainText(gain) : '–'}</td>`;
  return table(
    `Measured here, ${engine}: gain in throughput in percent of the baseline, median of rounds and interval`,
    points.map(pointLabel),
    steps.map(
      ({ label, gains }) => html`<tr><td>${label}</td>${points.map((point) => cell(gains.get(point)))}</tr>`,
    ),
  );
}

function gainText({ median, low, high, samples }: Estimate): Markup {
  const range = html`<span class="interval">${formatPercent(low)} to ${formatPercent(high)}</span>`;
  return html`${formatPercent(median)}${samples > 1 ? range : ''}`;
}

function publishedTable(): Markup {
  const { points, rows } = paperTable3;
  const body = rows.map(
    ({ label, gains }) =>
      html`<tr class="paper"><td>${label}</td>${gains.map((gain) => html`<td>${formatPercent(gain / 100)}</td>`)}</tr>`,
  );
  return table(
    'The paper’s Table 3, gain in throughput in percent of the baseline: its echo microbenchmark on eight cores, not memcached',
    points.map(String),
    body,
  );
}

function table(caption: string, columns: string[], rows: Markup[]): Markup {
  return html`<div class="scroll"><table><caption>${caption}</caption>
<thead><tr><th>Requests a connection</th>${columns.map((column) => html`<th>${column}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`;
}
