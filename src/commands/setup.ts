import { type Command, Option } from 'commander';
import type { Purpose } from '../debian/packages.js';
import { setUp } from '../setup/setup.js';

const purposes: Purpose[] = ['build', 'bench', 'test', 'lint'];

/** `megapipe setup`: what `npm run build`, `bench`, `test` and `lint` do first. */
export function addSetupCommand(program: Command): void {
  program
    .command('setup')
    .description('install what is missing on this machine and build everything')
    .addOption(new Option('--for <purpose>', 'what to get ready for').choices(purposes).default('build'))
    .action((options: { for: Purpose }) => setUp(options.for));
}
