import type { Command } from 'commander';

/** `megapipe report`: what `megapipe bench` prints at its end, again and from any results file. */
export function addReportCommand(program: Command): void {
  program
    .command('report')
    .description('print a results file as tables and sentences, and write it as an HTML page')
    .argument('<results>', 'a file that megapipe bench wrote')
    .option('--html <file>', 'where the page goes (default: beside the results)')
    .option('--csv', 'print all samples as CSV instead')
    .action(async (file: string, options: { html?: string; csv?: boolean }) => {
      // Drawing takes long to load: not for every command.
      const { publishReport } = await import('../report/publish.js');
      publishReport(file, options);
    });
}
