import { relative } from 'node:path';
import { Argument, type Command, Option } from 'commander';
import { untilInterrupted } from '../base/signals.js';
import { runQuietly } from '../base/tasks.js';
import { parseVariant } from '../bench/application/variant.js';
import {
  type GuestPlan,
  guestOrders,
  makeGuestPlan,
  type SubjectName,
  subjectNames,
} from '../bench/guest/plan.js';
import { collectProfiles, formatProfile } from '../bench/guest/profile.js';
import { readGuestResults } from '../bench/guest/record.js';
import { type GuestRun, runGuestBench } from '../bench/guest/run.js';
import { setUpGuestBench } from '../bench/guest/set-up.js';
import { formatGuest } from '../bench/guest/table.js';
import { parseLengths } from '../bench/lists.js';
import { type KernelName, kernelNames } from '../vm/kernel.js';
import { wholeNumber } from './numbers.js';
import { newResultsFile } from './results-file.js';

type GuestBenchOptions = {
  kernel: KernelName;
  full?: boolean;
  variants?: string;
  requestsPerConnection?: string;
  samples?: string;
  version?: string;
  module?: string;
  profile?: boolean;
  out?: string;
  setup: boolean;
};

/** `megapipe bench guest`: count instructions in a virtual machine, with the kernel module. */
export function addBenchGuestCommand(bench: Command): void {
  bench
    .command('guest')
    .description('count the instructions that servers cost, in an emulated machine with the kernel module')
    .addArgument(new Argument('[what]', 'what to count').choices(subjectNames).default('echo'))
    .addOption(new Option('--kernel <series>', 'Debian’s kernel').choices(kernelNames).default('6.12'))
    .addOption(new Option('--quick', 'three rounds, some minutes (default)').conflicts('full'))
    .option('--full', 'five rounds of four times as many transactions')
    .option(
      '--variants <list>',
      'baseline, or an engine with techniques (default: baseline, uring+PBL, kernel+P, kernel+PB, kernel+PBL)',
    )
    .option('--requests-per-connection <list>', 'whole numbers, or unlimited (default: 1,10,unlimited)')
    .option('--samples <n>', 'rounds, each with a fresh server and client for every variant')
    .option(
      '--version <version>',
      'of the application: another that the port has, and that is built; by its number or a Debian release, such as trixie',
    )
    .option('--module <file>', 'another kernel module than the one that is built')
    .option('--profile', 'tell which functions the instructions are in, too')
    .option('--out <file>', 'where the results go (default: a new file in results/)')
    .option('--no-setup', 'measure what is built, without looking whether it is up to date')
    .action(benchGuest);
}

async function benchGuest(what: SubjectName, _options: unknown, command: Command): Promise<void> {
  // Of what both have, `bench` takes what is given before and after `guest`.
  const options = command.optsWithGlobals<GuestBenchOptions>();
  const plan = choosePlan(what, options);
  const file = options.out ?? newResultsFile(`guest-${what}-${options.kernel}`);
  if (options.setup) await setUpGuestBench(plan, options.kernel);
  const profiles = options.profile ? collectProfiles(plan) : undefined;
  await untilInterrupted(
    (signal) =>
      measure({
        plan,
        kernel: options.kernel,
        module: options.module,
        file,
        signal,
        profile: profiles?.sink,
      }),
    () => `the samples that were taken are in ${relative(process.cwd(), file)}`,
  );
  for (const results of readGuestResults(file)) console.log(formatGuest(results));
  for (const profile of (await profiles?.all()) ?? [])
    console.log(`\n${formatProfile(profile, plan.transactions)}`);
  console.log(`\nresults: ${relative(process.cwd(), file)}`);
}

function choosePlan(subject: SubjectName, options: GuestBenchOptions): GuestPlan {
  return makeGuestPlan({
    preset: options.full ? 'full' : 'quick',
    subject,
    version: options.version,
    variants: options.variants?.split(',').map(parseVariant),
    points: options.requestsPerConnection ? parseLengths(options.requestsPerConnection) : undefined,
    samples: options.samples ? wholeNumber('--samples', options.samples, 1, 99_999) : undefined,
  });
}

async function measure(run: Omit<GuestRun, 'onProgress'>): Promise<void> {
  const all = guestOrders(run.plan).length;
  const title = `Count ${run.plan.subject} in a machine with Linux ${run.kernel}: ${all} samples`;
  await runQuietly([
    {
      title,
      run: async (tell) => {
        const onProgress: GuestRun['onProgress'] = ({ variant, requestsPerConnection }, done) =>
          tell(`${done + 1} of ${all} · ${variant.id}, ${requestsPerConnection} a connection`);
        await runGuestBench({ ...run, onProgress });
      },
    },
  ]);
}
