import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Argument, type Command, Option } from 'commander';
import { type Application, applicationNames, findApplication } from '../bench/application.js';
import { type BenchChoices, type BenchFailure, runBench } from '../bench/bench.js';
import { makePlan, parseCores, parsePoints } from '../bench/plan.js';
import { baseline, parseVariant, reuseport } from '../bench/variant.js';
import { UserError } from '../errors.js';
import { root } from '../paths.js';
import { type EngineName, engineName, topologyName } from '../results.js';
import { setUp } from '../setup.js';
import { untilInterrupted } from '../signals.js';
import { addBenchGuestCommand } from './bench-guest.js';

type BenchOptions = {
  full?: boolean;
  engines?: string;
  variants?: string;
  requestsPerConnection?: string;
  workloads?: string;
  cores?: string;
  topology?: string;
  samples?: string;
  duration?: string;
  out?: string;
  setup: boolean;
};

/** `megapipe bench`: measure the variants of an application against each other, and report. */
export function addBenchCommand(program: Command): void {
  const command = program
    .command('bench')
    .description('measure applications over stock I/O and over MegaPipe, and report')
    .addArgument(
      new Argument('[application]', 'what to measure (default: all, one after the other)').choices(
        applicationNames,
      ),
    )
    .addOption(new Option('--quick', 'the essence of everything, in minutes (default)').conflicts('full'))
    .option('--full', 'every point and variant, in two or three hours')
    .option('--engines <list>', `of ${engineName.options.join(', ')} (default: those that work here)`)
    .option(
      '--variants <list>',
      'baseline, reuseport (nginx), or an engine with techniques: uring+PBL, epoll+P, uring',
    )
    .option('--requests-per-connection <list>', 'memcached: whole numbers, or unlimited')
    .option('--workloads <list>', 'nginx: specweb, yahoo, yahoo/2')
    .option('--cores <list>', 'nginx: on how many CPUs the server runs: numbers, all, or each')
    .option('--topology <list>', `of ${topologyName.options.join(', ')}`)
    .option('--samples <n>', 'rounds, each with a fresh server and client for every variant')
    .option('--duration <s>', 'of one sample’s measuring window')
    .option('--out <file>', 'where the results go (default: a new file in results/)')
    .option('--no-setup', 'measure what is built, without looking whether it is up to date')
    .action(bench);
  addBenchGuestCommand(command);
}

async function bench(name: string | undefined, options: BenchOptions): Promise<void> {
  const all = name
    ? [choose(findApplication(name), options)]
    : applicationNames.map(findApplication).map((one) => choose(one, ownOptions(one, options)));
  const file = options.out ?? newFile(name ?? 'bench', options.full ? 'full' : 'quick');
  if (options.setup) await setUp('bench');
  let failures: BenchFailure[] = [];
  await untilInterrupted(
    async (signal) => {
      failures = await runBench(all, file, signal);
    },
    () =>
      `the samples that were taken are in ${shown(file)}; to see them: npx megapipe report ${shown(file)}`,
  );
  // Drawing takes long to load: not for every command, and the load generator is one.
  const { publishReport } = await import('../report/publish.js');
  if (failures.length < all.length) publishReport(file);
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
function ownOptions({ axis, stock }: Application, options: BenchOptions): BenchOptions {
  const { requestsPerConnection, workloads, cores, variants, ...common } = options;
  const own = variants?.split(',').filter((id) => id !== reuseport.id || stock.includes(reuseport));
  return {
    ...common,
    ...(own ? { variants: own.join() || baseline.id } : {}),
    ...(axis === 'cores' && workloads !== undefined ? { workloads } : {}),
    ...(axis === 'cores' && cores !== undefined ? { cores } : {}),
    ...(axis !== 'cores' && requestsPerConnection !== undefined ? { requestsPerConnection } : {}),
  };
}

/** From words to a plan; what is wrong is said before anything is built or measured. */
function choose(application: Application, options: BenchOptions): BenchChoices {
  const plan = makePlan(application, {
    preset: options.full ? 'full' : 'quick',
    engines: options.engines ? parseNames('--engines', options.engines, engineName.options) : usualEngines(),
    topologies: options.topology
      ? parseNames('--topology', options.topology, topologyName.options)
      : undefined,
    requestsPerConnection: options.requestsPerConnection
      ? parsePoints(options.requestsPerConnection)
      : undefined,
    workloads: options.workloads?.split(','),
    cores: options.cores ? parseCores(options.cores) : undefined,
    variants: options.variants?.split(',').map(parseVariant),
    samples: options.samples ? parsePositive('--samples', options.samples, Number.isInteger) : undefined,
    durationMs: options.duration
      ? parsePositive('--duration', options.duration, Number.isFinite) * 1000
      : undefined,
  });
  const named = {
    variants: Boolean(options.variants || options.engines),
    topologies: Boolean(options.topology),
  };
  return { application, plan, named };
}

/** The kernel module is looked for; whether the others work is found out by trying, and said. */
function usualEngines(): EngineName[] {
  return [...(existsSync('/dev/megapipe') ? (['kernel'] as const) : []), 'uring', 'epoll'];
}

function newFile(name: string, preset: string): string {
  const now = new Date().toISOString().replace(/[-:]|\..*/g, '');
  return join(root, 'results', `${name}-${preset}-${now}.ndjson`);
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
