import type { Command } from 'commander';
import { UserError } from '../base/errors.js';

/** `megapipe report`: what `megapipe bench` prints at its end, again and from any results file. */
export function addReportCommand(program: Command): void {
  program
    .command('report')
    .description('print a results file as tables and sentences, and write it as an HTML page')
    .argument('<results...>', 'a file that megapipe bench wrote; two with --compare')
    .option('--compare', 'set two runs side by side')
    .option('--html <file>', 'where the page goes (default: beside the results)')
    .option('--csv', 'print all samples as CSV instead')
    .action(report);
}

type ReportOptions = { html?: string; csv?: boolean; compare?: boolean };

async function report(files: string[], options: ReportOptions): Promise<void> {
  if (options.compare) return compare(files, options);
  const [file = ''] = files;
  if (files.length > 1) {
    throw new UserError(`${files.length} files are given`, {
      hint: 'give one, or two with --compare',
      exitCode: 2,
    });
  }
  const { isGuestFile } = await import('../bench/guest/record.js');
  if (isGuestFile(file)) return reportGuest(file, options);
  // Drawing takes long to load: not for every command.
  const { publishReport } = await import('../report/publish.js');
  publishReport(file, { ...options, tables: true });
}

async function compare([first, second, ...more]: string[], { html, csv }: ReportOptions): Promise<void> {
  if (!first || !second || more.length > 0 || csv) {
    throw new UserError('--compare takes two files, and writes no CSV', {
      hint: 'npx megapipe report --compare RUN1 RUN2',
      exitCode: 2,
    });
  }
  const { publishComparison } = await import('../report/publish.js');
  publishComparison(first, second, html === undefined ? {} : { html });
}

/** What was counted in a guest is a table, and no more. */
async function reportGuest(file: string, { html, csv }: { html?: string; csv?: boolean }): Promise<void> {
  const refused = html ? '--html' : csv ? '--csv' : undefined;
  if (refused) {
    throw new UserError(`${file} was counted in a guest, and there is no ${refused} of that`, {
      hint: `leave ${refused} out`,
      exitCode: 2,
    });
  }
  const { readGuestResults } = await import('../bench/guest/record.js');
  const { formatGuest } = await import('../bench/guest/table.js');
  for (const results of readGuestResults(file)) console.log(formatGuest(results));
}
