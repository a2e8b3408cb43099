import { writeFileSync } from 'node:fs';
import { basename, relative } from 'node:path';
import { UserError } from '../base/errors.js';
import { readResults, writing } from '../results/file.js';
import { formatAnswer } from './answer.js';
import { compareRuns } from './compare.js';
import { formatCsv } from './csv.js';
import type { Reported } from './headline.js';
import { formatPage } from './page.js';
import { formatComparison } from './page-compare.js';
import { summarize } from './summary.js';
import { formatTerminal } from './table.js';
import { formatComparisonTables } from './table-compare.js';

/** What becomes of a results file: CSV and no more, or a page and the answer, with all tables before that if wanted. */
type ReportOptions = { html?: string; csv?: boolean; tables?: boolean | undefined };

/** Print what a results file answers and write its page; or print it as CSV. */
export function publishReport(file: string, options: ReportOptions = {}): void {
  const runs = readResults(file).map((results) => ({ results, sections: summarize(results) }));
  if (options.csv) {
    process.stdout.write(formatCsv(runs.map(({ results }) => results)));
    return;
  }
  const page = options.html ?? `${file.replace(/\.ndjson$/, '')}.html`;
  writing(page, () => writeFileSync(page, formatPage(runs)));
  if (options.tables) printTables(runs);
  const [shownFile, shownPage] = [relative(process.cwd(), file), relative(process.cwd(), page)];
  console.log(`${formatAnswer(runs)}`);
  const tables = options.tables ? '' : ` (all tables: npx megapipe report ${shownFile})`;
  console.log(`results: ${shownFile}${tables}\nreport:  ${shownPage}`);
}

function printTables(runs: Reported[]): void {
  for (const { results, sections } of runs) {
    if (runs.length > 1) console.log(`${results.machine.workload.application}\n`);
    console.log(`${formatTerminal(results, sections)}\n`);
  }
}

/** Print two results files side by side and write that as a page. */
export function publishComparison(first: string, second: string, options: { html?: string } = {}): void {
  const comparisons = compareRuns(readResults(first), readResults(second));
  if (comparisons.every(({ sections }) => sections.length === 0)) {
    throw new UserError(`${first} and ${second} have no variant at the same point`, {
      hint: 'give two runs of one application on one topology',
    });
  }
  const name = (file: string) => basename(file).replace(/\.ndjson$/, '');
  const page = options.html ?? `${first.replace(/\.ndjson$/, '')}-beside-${name(second)}.html`;
  writing(page, () => writeFileSync(page, formatComparison(comparisons, [name(first), name(second)])));
  console.log(`${formatComparisonTables(comparisons)}\n`);
  console.log('ratios are of the second run to the first; * where the interval excludes 1\n');
  console.log(`report:  ${relative(process.cwd(), page)}`);
}
