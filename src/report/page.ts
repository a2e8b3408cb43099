import type { Host, Results } from '../results/schema.js';
import { caveats } from './caveats.js';
import { figureSpecs, usualFigures } from './figure-specs.js';
import { type Finding, findings } from './findings.js';
import { listOf, sectionName, sectionTitle } from './format.js';
import type { Reported } from './headline.js';
import { html, type Markup } from './markup.js';
import type { Section } from './model.js';
import { documentOf, figure } from './page-document.js';
import { firstScreen } from './page-first.js';
import { legend } from './page-legend.js';
import { machineSection } from './page-machine.js';
import { paperSection, techniqueTables } from './page-paper.js';
import { resultTable, sampleTables } from './page-tables.js';
import { commonWords, varyingFields } from './points.js';

/** The whole report as one file that needs nothing else: the answer, and one run after another folded below. */
export function formatPage(runs: Reported[]): string {
  const names = runs.map(({ results }) => results.machine.workload.application);
  const title = `${listOf(names)}: MegaPipe against stock I/O`;
  return documentOf(title, [], [firstScreen(runs), ...runs.map((run) => folded(run, runs.length > 1))]);
}

/** All the rest is there for who asks. */
function folded(run: Reported, several: boolean): Markup {
  const { application } = run.results.machine.workload;
  return html`<details class="run"><summary>${application}: all sentences, figures and numbers, the paper’s beside them, and how it was measured</summary>
${runArticle(run, several)}
</details>`;
}

function runArticle({ results, sections }: Reported, several: boolean): Markup {
  const { machine, samples } = results;
  const { application } = machine.workload;
  const found = findings(sections);
  const foundIn = (section: Section) => found.filter((finding) => finding.section === section);
  return html`<article id="${application}">
${several ? html`<h1>${application}</h1>` : ''}
<p class="muted">${machine.plan.preset} run · ${samples.length} samples · ${application} ${machine.versions[application]}</p>
${summarySection(results, sections, found)}
${sections.map((section, index) => partSection(section, sections[index - 1], foundIn(section)))}
${paperSection(machine, sections)}
${sampleTables(results)}
${machineSection(results)}
</article>`;
}

/** Of each section the first sentences: the others are beside its figures. */
function summarySection(results: Results, sections: Section[], found: Finding[]): Markup {
  const headlines = found
    .filter(({ section }, index) => section !== found[index - 1]?.section)
    .map((finding) => ({ ...finding, heading: `${sectionName(finding.section)}: ${finding.heading}` }));
  return html`<section>
<h2>What was found</h2>
${findingsGrid(headlines)}
<h3>Mind</h3>
${bullets(caveats(results, sections))}
</section>`;
}

function sectionFindings(found: Finding[]): Markup | undefined {
  return found.length === 0
    ? undefined
    : html`<h3>What was found</h3>
${findingsGrid(found)}`;
}

function findingsGrid(found: Finding[]): Markup {
  return html`<div class="findings">${found.map(
    ({ heading, sentences }) => html`<div><h4>${heading}</h4>${bullets(sentences)}</div>`,
  )}</div>`;
}

function bullets(sentences: string[]): Markup {
  return html`<ul>${sentences.map((sentence) => html`<li>${sentence}</li>`)}</ul>`;
}

/** A topology is described where it comes first. */
function partSection(section: Section, before: Section | undefined, found: Finding[]): Markup {
  const { topology, view } = section;
  const names = view.figures ?? usualFigures;
  const hosts =
    topology === before?.topology
      ? undefined
      : html`<p>${sentence(topology.description)} Server: ${onCpus(topology.server, 'worker')}; clients: ${listOf(topology.clients.map((one) => onCpus(one, 'thread')))}.</p>`;
  return html`<section>
<h2>${sectionTitle(section)}</h2>
${hosts}
${alike(section)}
${legend(section)}
<div class="figures">${figureSpecs.filter(({ name }) => names.includes(name)).map((spec) => figure(section, spec))}</div>
${sectionFindings(found)}
<h3>All numbers</h3>
${resultTable(section)}
${techniqueTables(section)}
</section>`;
}

/** What all points of a section have in common. */
function alike({ points, axis, facet }: Section): Markup | undefined {
  const [point] = points;
  if (!point) return undefined;
  const varying = [axis, facet, ...varyingFields(points)];
  const words = commonWords(
    point,
    varying.filter((field) => field !== undefined),
  );
  return words === '' ? undefined : html`<p class="muted">Everywhere here: ${words}.</p>`;
}

function onCpus({ threads, cpus }: Host, each: 'worker' | 'thread'): string {
  return threads === 1 ? `CPU ${cpus.join(', ')}` : `CPUs ${cpus.join(', ')}, a ${each} each`;
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}
