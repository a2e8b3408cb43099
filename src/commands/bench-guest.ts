import { join, relative } from 'node:path';
import { Argument, type Command, Option } from 'commander';
import { Listr, PRESET_TIMER } from 'listr2';
import { UserError } from '../base/errors.js';
import { root } from '../base/paths.js';
import { untilInterrupted } from '../base/signals.js';
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
    .option('--version <version>', 'of the application: another that the port has, and that is built')
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
  const file = options.out ?? newFile(what, options.kernel);
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
    samples: options.samples ? wholeNumber('--samples', options.samples) : undefined,
  });
}

async function measure(run: Omit<GuestRun, 'onProgress'>): Promise<void> {
  const all = guestOrders(run.plan).length;
  const failures: unknown[] = [];
  const list = new Listr(
    [
      {
        title: `Count ${run.plan.subject} in a machine with Linux ${run.kernel}: ${all} samples`,
        task: async (_context, task) => {
          const onProgress: GuestRun['onProgress'] = ({ variant, requestsPerConnection }, done) => {
            task.output = `${done + 1} of ${all} · ${variant.id}, ${requestsPerConnection} a connection`;
          };
          await runGuestBench({ ...run, onProgress }).catch((error: unknown) => {
            failures.push(error);
            throw error;
          });
        },
      },
    ],
    {
      fallbackRenderer: 'simple',
      registerSignalListeners: false,
      rendererOptions: { lazy: true, collapseErrors: false, showErrorMessage: false, timer: PRESET_TIMER },
      fallbackRendererOptions: { timer: PRESET_TIMER },
    },
  );
  await list.run().catch((error: unknown) => {
    throw failures[0] ?? error;
  });
}

function newFile(what: string, kernel: string): string {
  const now = new Date().toISOString().replace(/[-:]|\..*/g, '');
  return join(root, 'results', `guest-${what}-${kernel}-${now}.ndjson`);
}

function wholeNumber(option: string, text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new UserError(`${option} ${text} is not a whole number above 0`, { exitCode: 2 });
}
