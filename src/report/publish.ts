import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { readResults, writing } from '../results.js';
import { formatCsv } from './csv.js';
import { formatPage } from './page.js';
import { summarize } from './summary.js';
import { formatTerminal } from './table.js';

/** Print a results file and write its page; or print it as CSV. */
export function publishReport(file: string, options: { html?: string; csv?: boolean } = {}): void {
  const runs = readResults(file).map((results) => ({ results, sections: summarize(results) }));
  if (options.csv) {
    process.stdout.write(formatCsv(runs.map(({ results }) => results)));
    return;
  }
  const page = options.html ?? `${file.replace(/\.ndjson$/, '')}.html`;
  writing(page, () => writeFileSync(page, formatPage(runs)));
  for (const { results, sections } of runs) {
    if (runs.length > 1) console.log(`${results.machine.workload.application}\n`);
    console.log(`${formatTerminal(results, sections)}\n`);
  }
  console.log(`results: ${relative(process.cwd(), file)}\nreport:  ${relative(process.cwd(), page)}`);
}
