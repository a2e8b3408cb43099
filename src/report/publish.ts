import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { readResults, writing } from '../results.js';
import { formatCsv } from './csv.js';
import { formatPage } from './page.js';
import { summarize } from './summary.js';
import { formatTerminal } from './table.js';

/** Print a results file and write its page; or print it as CSV. */
export function publishReport(file: string, options: { html?: string; csv?: boolean } = {}): void {
  const results = readResults(file);
  if (options.csv) {
    process.stdout.write(formatCsv(results));
    return;
  }
  const sections = summarize(results);
  const page = options.html ?? `${file.replace(/\.ndjson$/, '')}.html`;
  writing(page, () => writeFileSync(page, formatPage(results, sections)));
  console.log(formatTerminal(results, sections));
  console.log(`\nresults: ${relative(process.cwd(), file)}\nreport:  ${relative(process.cwd(), page)}`);
}
