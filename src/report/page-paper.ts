import type { MachineRecord } from '../results/schema.js';
import { type Judged, judgeClaims, type Outcome } from './claims.js';
import { formatPercent, formatRatio, listOf, ratioWords, sectionName } from './format.js';
import { html, type Markup } from './markup.js';
import type { Section } from './model.js';
import { paperOn, paperTable2, paperTable3 } from './paper.js';
import { pointHeading, pointLabel, pointWords } from './points.js';
import type { Estimate } from './statistics.js';
import { type Accumulation, accumulations, gainAt } from './techniques.js';
import { wholeVariants } from './variants.js';

/** The paper's own numbers on this application, as far as its words give them, beside ours. */
export function paperSection(machine: MachineRecord, sections: Section[]): Markup | undefined {
  const paper = paperOn[machine.workload.application];
  if (!paper) return undefined;
  const { setting, statements } = paper;
  return html`<section>
<h2>Beside the paper</h2>
<p>The paper measured ${setting}. What it says of the gains in throughput, and what was measured here:</p>
<div class="scroll"><table>
<thead><tr><th>The paper</th><th class="left">Measured here, of the baseline’s throughput</th></tr></thead>
<tbody><tr>
<td class="words paper"><ul>${statements.map(({ says, where }) => html`<li>${says} (${where})</li>`)}</ul></td>
<td class="words"><ul>${sections.flatMap(measuredHere).map((line) => html`<li>${line}</li>`)}</ul></td>
</tr></tbody>
</table></div>
${claimTable(judgeClaims(machine.workload.application, sections))}
${linesTable(machine)}
${sections.some((section) => accumulations(section).length > 0) ? publishedTable() : undefined}
</section>`;
}

function measuredHere(section: Section): string[] {
  return wholeVariants(section.variants).flatMap(({ id }) => {
    const ratios = section.points.flatMap((point) => {
      const ratio = section.cell(id, point)?.ratios.throughput;
      return ratio ? [`${ratioWords(ratio)} at ${pointWords(section, point)}`] : [];
    });
    const speedups = section.points.flatMap((point) => {
      const speedup = point.cores > 1 ? section.cell(id, point)?.speedup : undefined;
      return speedup ? [`${formatRatio(speedup.median)} at ${pointWords(section, point)}`] : [];
    });
    const scaled = speedups.length > 0 ? `; speed-up over one core ${listOf(speedups)}` : '';
    return ratios.length > 0 ? [`${sectionName(section)}, ${id}: ${listOf(ratios)}${scaled}`] : [];
  });
}

/** What held here, and what did not. */
function claimTable(judged: Judged[]): Markup | undefined {
  if (judged.length === 0) return undefined;
  const colours: Record<Outcome, string> = { holds: 'better', 'does not hold': 'worse', undecided: '' };
  return html`<div class="scroll"><table>
<caption>What the paper claims, put to what was measured here, with all techniques on the first engine. It had eight cores, and hosts and network cards of their own; undecided is what the samples’ intervals don’t tell.</caption>
<thead><tr><th>Claim</th><th class="left">Here</th><th class="left">Seen</th></tr></thead>
<tbody>${judged.map(
    ({ claim, where, outcome, seen }) =>
      html`<tr><td class="words">${claim} <span class="paper">(${where})</span></td><td class="left ${colours[outcome]}">${outcome}</td><td class="words">${seen}</td></tr>`,
  )}</tbody></table></div>`;
}

/** The paper's Table 2, of what was measured here. */
function linesTable({ workload, versions }: MachineRecord): Markup | undefined {
  const { application, lines } = workload;
  const paper = paperTable2[application];
  if (!lines || !paper) return undefined;
  const share = (part: number, total: number) => `${part} (${((part / total) * 100).toFixed(1)} %)`;
  return table(
    'Lines of code (the paper’s Table 2): C, without blank lines and comments, of all that the release holds',
    'Application',
    ['Total', 'Changed', 'In files of our own'],
    [
      html`<tr><td>${application} ${versions[application]}</td><td>${lines.application}</td><td>${share(lines.changed, lines.application)}</td><td>${share(lines.own, lines.application)}</td></tr>`,
      html`<tr class="paper"><td>the paper: ${application} ${paper.version}</td><td>${paper.total}</td><td>${share(paper.changed, paper.total)}</td><td>–</td></tr>`,
    ],
  );
}

/** The paper's Table 3 in our numbers. */
export function techniqueTables(section: Section): Markup | undefined {
  const measured = accumulations(section);
  if (measured.length === 0) return undefined;
  return html`<h3>What each technique added (the form of the paper’s Table 3)</h3>
${measured.map((one) => measuredTable(one, section))}`;
}

function measuredTable({ engine, steps }: Accumulation, section: Section): Markup {
  const { points } = section;
  const cell = (gain: Estimate | undefined) => html`<td>${gain ? gainText(gain) : '–'}</td>`;
  return table(
    `Measured here, ${engine}: gain in throughput in percent of the baseline, median of rounds and interval`,
    pointHeading(section),
    points.map((point) => (section.axis === 'cores' ? pointWords : pointLabel)(section, point)),
    steps.map(
      (step) => html`<tr><td>${step.label}</td>${points.map((point) => cell(gainAt(step, point)))}</tr>`,
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
    'The paper’s Table 3, gain in throughput in percent of the baseline: its echo microbenchmark on eight cores, no application',
    pointHeading({ axis: 'requestsPerConnection', facet: undefined }),
    points.map(String),
    body,
  );
}

function table(caption: string, heading: string, columns: string[], rows: Markup[]): Markup {
  return html`<div class="scroll"><table><caption>${caption}</caption>
<thead><tr><th>${heading}</th>${columns.map((column) => html`<th>${column}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`;
}
