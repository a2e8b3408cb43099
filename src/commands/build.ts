import { type Command, Option } from 'commander';
import { UserError } from '../base/errors.js';
import { portFileSchema } from '../port/file.js';
import { portNames, variants } from '../port/port.js';
import { buildApplication } from '../port/tasks.js';

type BuildOptions = {
  source?: string;
  sha256?: string;
  version?: string;
  variant: (typeof variants)[number] | 'all';
  sanitize: boolean;
  output?: string;
  schema?: boolean;
};

/** `megapipe build <application>`: fetch, patch and compile it; `megapipe build --schema`. */
export function addBuildCommand(program: Command): void {
  program
    .command('build')
    .description('build a ported application, as it is (baseline) and over MegaPipe')
    .argument('[application]', `one of: ${portNames().join(', ')}; or the folder of a port of yours (./…)`)
    .option(
      '--source <path|url>',
      'take this tarball or tree, and keep to it in later builds; release: take the release again',
    )
    .option('--sha256 <sum>', 'what the tarball given with --source must be')
    .option(
      '--version <version>',
      'another version that the port has, such as nginx 1.0.15, or what a Debian release has, such as trixie (default: what this machine’s release has)',
    )
    .addOption(new Option('--variant <which>', 'what to build').choices([...variants, 'all']).default('all'))
    .option('--sanitize', 'build with AddressSanitizer and UndefinedBehaviorSanitizer', false)
    .option('--output <folder>', 'build below this folder instead of build/')
    .option('--schema', 'print what a port.json may hold, as JSON Schema, and build nothing')
    .action(async (name: string | undefined, options: BuildOptions) => {
      if (options.schema) {
        console.log(JSON.stringify(portFileSchema(), null, 2));
        return;
      }
      if (name === undefined) {
        throw new UserError('build needs an application', {
          hint: `name one: ${portNames().join(', ')}; or the folder of a port of yours`,
          exitCode: 2,
        });
      }
      if (options.sha256 && !/^[0-9a-f]{64}$/.test(options.sha256)) {
        throw new UserError(`--sha256 ${options.sha256} is not a sha256`, {
          hint: 'give 64 hexadecimal digits',
          exitCode: 2,
        });
      }
      await buildApplication(name, options);
    });
}
