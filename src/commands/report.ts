import type { Command } from 'commander';
import { UserError } from '../errors.js';

/** `megapipe report`: what `megapipe bench` prints at its end, again and from any results file. */
export function addReportCommand(program: Command): void {
  program
    .command('report')
    .description('print a results file as tables and sentences, and write it as an HTML page')
    .argument('<results>', 'a file that megapipe bench wrote')
    .option('--html <file>', 'where the page goes (default: beside the results)')
    .option('--csv', 'print all samples as CSV instead')
    .action(report);
}

async function report(file: string, options: { html?: string; csv?: boolean }): Promise<void> {
  const { isGuestFile } = await import('../bench/guest/record.js');
  if (isGuestFile(file)) return reportGuest(file, options);
  // Drawing takes long to load: not for every command.
  const { publishReport } = await import('../report/publish.js');
  publishReport(file, options);
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
