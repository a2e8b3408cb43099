import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { Command, Option } from 'commander';
import { UserError } from '../base/errors.js';
import { untilInterrupted } from '../base/signals.js';
import type { Application, Grid } from '../bench/application/application.js';
import { allStock, baseline, parseVariant } from '../bench/application/variant.js';
import { applicationNames, findApplication } from '../bench/applications.js';
import { type BenchChoices, type BenchFailure, runBench } from '../bench/bench.js';
import {
  parseConnections,
  parseCores,
  parseLengths,
  parseRates,
  parseSizes,
  parseTime,
} from '../bench/lists.js';
import { makePlan } from '../bench/plan.js';
import { checkResumable, readBegun } from '../bench/resume.js';
import { inOwnSession, runInOwnSession } from '../host/own-session.js';
import { describePriority, raisePriority } from '../host/priority.js';
import { buildApplication } from '../port/tasks.js';
import { type EngineName, engineName, type Priority, topologyName } from '../results/schema.js';
import { setUp } from '../setup/setup.js';
import { addBenchGuestCommand } from './bench-guest.js';
import { newResultsFile } from './results-file.js';

type BenchOptions = {
  full?: boolean;
  engines?: string;
  variants?: string;
  requestsPerConnection?: string;
  messageSizes?: string;
  workloads?: string;
  cores?: string;
  connections?: string;
  rates?: string;
  topology?: string;
  samples?: string;
  budget?: string;
  duration?: string;
  out?: string;
  resume?: string;
  version?: string;
  fineGrainedLocks?: boolean;
  setup: boolean;
  priority: boolean;
  tables?: boolean;
};

/** `megapipe bench`: measure the variants of an application against each other, and report. */
export function addBenchCommand(program: Command): void {
  const command = benchCommand()
    .copyInheritedSettings(program)
    .action((name: string | undefined, options: BenchOptions) =>
      options.resume ? resume(name, options, options.resume) : bench(name, options),
    );
  addBenchGuestCommand(command);
  program.addCommand(command);
}

function benchCommand(): Command {
  return new Command('bench')
    .description('measure applications over stock I/O and over MegaPipe, and report')
    .argument(
      '[application]',
      `what to measure: ${applicationNames.join(', ')}; or the folder of a port of yours (./…) (default: all but that, ` +
        'one after the other)',
    )
    .addOption(new Option('--quick', 'the essence of everything, in minutes (default)').conflicts('full'))
    .option('--full', 'every point and variant, in an hour or more')
    .option('--engines <list>', `of ${engineName.options.join(', ')} (default: those that work here)`)
    .option(
      '--variants <list>',
      'baseline, reuseport (nginx, echo), steered, sleep, raw (echo), or an engine with techniques: uring+PBL, epoll+P, uring; with -W50 it waits up to 50 µs for a batch; with -FL at its end it is without a lock for the whole cache (memcached 1.4.13)',
    )
    .option('--requests-per-connection <list>', 'whole numbers, or unlimited; not of nginx')
    .option('--message-sizes <list>', 'in bytes; of echo')
    .option('--workloads <list>', 'nginx: specweb, yahoo, yahoo/2')
    .option('--cores <list>', 'on how many CPUs the server runs: numbers, all, or each')
    .option('--connections <list>', 'held open at a time')
    .option('--rates <list>', 'open loop: requests a second; none: a closed loop')
    .option('--topology <list>', `of ${topologyName.options.join(', ')}`)
    .addOption(
      new Option(
        '--samples <n>',
        'rounds, each with a fresh server for every variant, instead of as many as are needed',
      ).conflicts('budget'),
    )
    .option(
      '--budget <time>',
      'like 90s, 8m, 1h: measure until all that is to be answered is decided, but no longer (default: of a quick run 160s an application)',
    )
    .option('--duration <s>', 'of one sample’s measuring window')
    .option(
      '--version <version>',
      'of the application: another that the port has, and that is built; by its number or a Debian release, such as trixie',
    )
    .option('--fine-grained-locks', 'each variant also without a lock for the whole cache: memcached 1.4.13')
    .option('--out <file>', 'where the results go (default: a new file in results/)')
    .option('--resume <file>', 'go on with a run that was interrupted, as it was asked for')
    .option('--tables', 'print all tables and sentences, too, before the answer')
    .option('--no-priority', 'measure at the priority that everything else has')
    .option('--no-setup', 'measure what is built, without looking whether it is up to date');
}

async function bench(name: string | undefined, options: BenchOptions): Promise<void> {
  // Of the command line all that comes after the command’s name.
  const words = process.argv.slice(process.argv.indexOf('bench') + 1);
  const all = chooseAll(name, options, words);
  const file = options.out ?? newResultsFile(`${name ?? 'bench'}-${options.full ? 'full' : 'quick'}`);
  if (existsSync(file)) {
    throw new UserError(`${file} exists already`, {
      hint: `give another name to --out, or go on with it: --resume ${file}`,
      exitCode: 2,
    });
  }
  await begin(name, options, (priority) =>
    measure(
      all.map((one) => ({ ...one, priority })),
      file,
      options,
    ),
  );
}

/**
 * What has to be built is built as anything else is; measuring has priority, which takes a session of its own. There this
 * program begins once more, with the same words.
 */
async function begin(
  name: string | undefined,
  { setup, priority }: BenchOptions,
  work: (priority: Priority) => Promise<void>,
): Promise<void> {
  if (setup && !inOwnSession()) await setUpFor(name);
  if (priority && !inOwnSession()) return runInOwnSession();
  const had: Priority = priority ? raisePriority() : { kind: 'none', nice: 0, reason: '--no-priority' };
  console.error(`megapipe: ${describePriority(had)}`);
  await work(had);
}

/** The run's own words say what there is to measure; what was measured is in the file. */
async function resume(name: string | undefined, given: BenchOptions, file: string): Promise<void> {
  const others = Object.keys(given).filter(
    (option) => !['resume', 'setup', 'priority', 'tables'].includes(option),
  );
  if (name || others.length > 0) {
    throw new UserError('--resume takes a run as it was asked for, and nothing is asked for beside it', {
      hint: `npx megapipe bench --resume ${file}`,
      exitCode: 2,
    });
  }
  const begun = readBegun(file);
  const asked = parseWords(begun.words);
  await begin(asked.name, { ...asked.options, setup: given.setup }, async (priority) => {
    const all = chooseAll(asked.name, asked.options, begun.words);
    const left = all.map((one) => begun.goOn({ ...one, priority })).filter((one) => one !== undefined);
    for (const choices of left) await checkResumable(file, choices);
    if (left.length === 0) console.error(`megapipe: nothing of ${shown(file)} is left to measure`);
    await measure(left, file, given);
  });
}

/** All that is ours, and a port of others where one is measured. */
async function setUpFor(name: string | undefined): Promise<void> {
  await setUp('bench');
  if (name?.includes('/')) await buildApplication(name, { variant: 'all' });
}

function parseWords(words: string[]): { name: string | undefined; options: BenchOptions } {
  const command = benchCommand()
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  command.parse(words, { from: 'user' });
  return { name: command.args[0], options: command.opts<BenchOptions>() };
}

async function measure(
  all: BenchChoices[],
  file: string,
  { tables }: Pick<BenchOptions, 'tables'>,
): Promise<void> {
  let failures: BenchFailure[] = [];
  await untilInterrupted(
    async (signal) => {
      failures = await runBench(all, file, signal);
    },
    () =>
      `the samples that were taken are in ${shown(file)}; to see them: npx megapipe report ${shown(file)}; ` +
      `to go on: npx megapipe bench --resume ${shown(file)}`,
  );
  // Drawing takes long to load: not for every command, and the load generator is one.
  const { publishReport } = await import('../report/publish.js');
  if (existsSync(file)) publishReport(file, { tables });
  complain(failures, all.length);
}

/** What was measured has been shown; that something was not is still an error. */
function complain(failures: BenchFailure[], all: number): void {
  const [first] = failures;
  if (!first) return;
  if (all === 1) throw first.error;
  const names = failures.map(({ application }) => application).join(' and ');
  throw new UserError(`${names} could not be measured: ${first.error.message}`, {
    ...(first.error.hint ? { hint: first.error.hint } : {}),
    cause: first.error,
  });
}

/** Where several applications are measured, an option of one is none of the others’. */
function ownOptions({ varies, stock }: Application, options: BenchOptions): BenchOptions {
  const foreign = allStock.filter((one) => !stock.includes(one)).map(({ id }) => id);
  const own = options.variants?.split(',').filter((id) => !foreign.includes(id));
  const { variants: _variants, ...common } = options;
  const foreignOptions = Object.entries(gridOptions).filter(
    ([field]) => !varies.includes(field as keyof Grid),
  );
  return {
    ...Object.fromEntries(
      Object.entries(common).filter(([name]) => !foreignOptions.some(([, [field]]) => field === name)),
    ),
    setup: options.setup,
    priority: options.priority,
    ...(own ? { variants: own.join() || baseline.id } : {}),
  };
}

function chooseAll(name: string | undefined, options: BenchOptions, words: string[]): Asked[] {
  const budgetMs = options.budget === undefined ? undefined : parseTime('--budget', options.budget);
  if (name) return [choose(findApplication(name, options.version), options, words, budgetMs)];
  if (options.version) {
    throw new UserError(`--version ${options.version} is of no application`, {
      hint: `name one: ${applicationNames.join(', ')}`,
      exitCode: 2,
    });
  }
  return applicationNames
    .map((one) => findApplication(one))
    .map((one, _index, all) =>
      choose(one, ownOptions(one, options), words, budgetMs && Math.ceil(budgetMs / all.length)),
    );
}

/** What is asked for, before it is known with what priority it is measured. */
type Asked = Omit<BenchChoices, 'priority'>;

/** From words to a plan; what is wrong is said before anything is built or measured. */
function choose(
  application: Application,
  options: BenchOptions,
  words: string[],
  budgetMs: number | undefined,
): Asked {
  const plan = makePlan(application, {
    preset: options.full ? 'full' : 'quick',
    engines: options.engines ? parseNames('--engines', options.engines, engineName.options) : usualEngines(),
    topologies: options.topology
      ? parseNames('--topology', options.topology, topologyName.options)
      : undefined,
    grid: chosenGrid(options),
    variants: options.variants?.split(',').map(parseVariant),
    fineGrainedLocks: options.fineGrainedLocks,
    samples: options.samples ? parsePositive('--samples', options.samples, Number.isInteger) : undefined,
    budgetMs,
    durationMs: options.duration
      ? parsePositive('--duration', options.duration, Number.isFinite) * 1000
      : undefined,
  });
  const named = {
    variants: Boolean(options.variants || options.engines),
    topologies: Boolean(options.topology),
  };
  return { application, plan, named, words };
}

/** The option for each field of a point, and how to read it. */
const gridOptions: { [Field in keyof Grid]: [keyof BenchOptions, (list: string) => Grid[Field]] } = {
  workload: ['workloads', (list) => list.split(',')],
  requestsPerConnection: ['requestsPerConnection', parseLengths],
  messageBytes: ['messageSizes', parseSizes],
  cores: ['cores', parseCores],
  connections: ['connections', parseConnections],
  rate: ['rates', parseRates],
};

function chosenGrid(options: BenchOptions): Partial<Grid> {
  const given = Object.entries(gridOptions).flatMap(([field, [name, parse]]) => {
    const list = options[name];
    return typeof list === 'string' ? [[field, parse(list)]] : [];
  });
  return Object.fromEntries(given);
}

/** The kernel module is looked for; whether the others work is found out by trying, and said. */
function usualEngines(): EngineName[] {
  return [...(existsSync('/dev/megapipe') ? (['kernel'] as const) : []), 'uring', 'epoll'];
}

function parseNames<T extends string>(option: string, list: string, known: readonly T[]): T[] {
  const names = list.split(',');
  const unknown = names.find((name) => !known.includes(name as T));
  if (unknown === undefined) return names as T[];
  throw new UserError(`${option} has no "${unknown}"`, {
    hint: `give any of ${known.join(', ')}`,
    exitCode: 2,
  });
}

function parsePositive(option: string, text: string, valid: (value: number) => boolean): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && valid(value)) return value;
  throw new UserError(
    `${option} ${text} is not a ${valid === Number.isInteger ? 'whole ' : ''}number above 0`,
    {
      exitCode: 2,
    },
  );
}

function shown(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith('..') ? file : path;
}
