import type { Comparison, Difference, Pair, SharedSection, SideBySide } from './compare.js';
import { figureSpecs, usualFigures } from './figure-specs.js';
import { formatThroughput, formatUs, listOf, sectionTitle } from './format.js';
import { html, type Markup } from './markup.js';
import type { FigureName } from './model.js';
import { documentOf, figure } from './page-document.js';
import { legend } from './page-legend.js';
import { medianRatioCell } from './page-tables.js';
import { pointHeading, pointWords } from './points.js';
import type { Estimate } from './statistics.js';

/** What is drawn of both runs; all their numbers are in their own reports. */
const drawn: readonly FigureName[] = ['throughput', 'relative', 'speedup', 'serverCpu', 'p99'];

/** Two runs side by side, as one file that needs nothing else. */
export function formatComparison(comparisons: Comparison[], names: [string, string]): string {
  const title = `${names[0]} beside ${names[1]}`;
  const applications = listOf(comparisons.map(({ application }) => application));
  return documentOf(
    title,
    [html`<p class="muted">${applications}; ratios are of the second run to the first</p>`],
    [
      html`<p>Two runs have no rounds in common: what changed between their times does not cancel out as it does within a run, and an interval reaches from the least that both runs’ intervals allow to the most. A colour says that it excludes 1.</p>`,
      ...comparisons.map((one) => article(one, names)),
    ],
  );
}

function article({ application, differences, sections }: Comparison, names: [string, string]): Markup {
  return html`<article id="${application}">
<h1>${application}</h1>
<h2>What was not the same</h2>
${differenceTable(differences, names)}
${sections.map((section) => sharedSection(section, names))}
</article>`;
}

function differenceTable(differences: Difference[], names: [string, string]): Markup {
  return html`<div class="scroll"><table>
<thead><tr><th></th>${names.map((name) => html`<th class="left">${name}</th>`)}</tr></thead>
<tbody>${differences.map(({ what, first, second }) => html`<tr><td>${what}</td><td class="words">${first}</td><td class="words">${second}</td></tr>`)}</tbody>
</table></div>`;
}

function sharedSection({ first, second, pairs }: SharedSection, names: [string, string]): Markup {
  const wanted = (first.view.figures ?? usualFigures).filter((name) => drawn.includes(name));
  const figures = figureSpecs
    .filter(({ name }) => wanted.includes(name))
    .flatMap((spec) =>
      [first, second].map((section, index) => figure(section, spec, `${names[index]}: ${spec.title}`)),
    );
  return html`<section>
<h2>${sectionTitle(first)}</h2>
${legend(first)}
<div class="figures">${figures}</div>
${pairTable(first, pairs, names)}
</section>`;
}

const quantities: readonly [SideBySide, string, (value: number) => string, 'above' | 'below'][] = [
  ['throughput', 'Throughput', formatThroughput, 'above'],
  ['serverCpuUs', 'Server CPU a request', formatUs, 'below'],
  ['p99Us', 'p99', formatUs, 'below'],
];

function pairTable(section: SharedSection['first'], pairs: Pair[], names: [string, string]): Markup {
  const heads = quantities.flatMap(([, name]) => [...names.map((one) => `${name}, ${one}`), 'ratio']);
  const rows = pairs.map(({ point, variant, first, second, ratios }, index) => {
    const isFirst = pairs[index - 1]?.point !== point;
    const cells = quantities.map(
      ([key, , format, good]) =>
        html`${number(first[key], format)}${number(second[key], format)}${medianRatioCell(ratios[key], good)}`,
    );
    return html`<tr class="${isFirst ? 'first' : ''}"><td>${isFirst ? pointWords(section, point, section.points) : ''}</td><td class="left">${variant.id}</td>${cells}</tr>`;
  });
  return html`<div class="scroll"><table>
<thead><tr><th>${pointHeading(section)}</th><th class="left">Variant</th>${heads.map((head) => html`<th>${head}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function number(estimate: Estimate | undefined, format: (value: number) => string): Markup {
  return html`<td>${estimate ? format(estimate.median) : '–'}</td>`;
}
