import { type Command, Option } from 'commander';
import { allowedCpus, parseCpuList } from '../base/cpus.js';
import { UserError } from '../base/errors.js';
import type { Application } from '../bench/application/application.js';
import {
  allStock,
  defaultBatch,
  fineGrained,
  longestModerationUs,
  megapipe,
  moderated,
  parseVariant,
} from '../bench/application/variant.js';
import { applicationNames, findApplication } from '../bench/applications.js';
import { refuseFineGrained } from '../bench/plan.js';
import { serveInForeground } from '../bench/serve.js';
import { type EngineName, engineName, type TechniqueName, type Variant } from '../results/schema.js';
import { wholeNumber } from './numbers.js';

type ServeOptions = {
  variant: string;
  engine?: EngineName;
  batch?: string;
  moderationUs?: string;
  lwsocket: boolean;
  partition: boolean;
  threads?: string;
  address: string;
  port?: string;
  cpus?: string;
  workloads?: string;
  version?: string;
  fineGrainedLocks?: boolean;
};

/** `megapipe serve`: one server as the benchmark runs it, in the foreground. */
export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .description('run a server as the benchmark does, in the foreground, until Ctrl-C')
    .argument(
      '<application>',
      `which server: ${applicationNames.join(', ')}; or the folder of a port of yours (./…)`,
    )
    .addOption(
      new Option(
        '--variant <which>',
        'one over stock I/O (nginx: baseline or reuseport; echo: all), or MegaPipe',
      )
        .choices([...allStock.map(({ id }) => id), 'megapipe'])
        .default('megapipe'),
    )
    .addOption(
      new Option('--engine <name>', 'MegaPipe’s engine (default: uring)').choices(engineName.options),
    )
    .option(
      '--batch <n>',
      `requests collected for one entry of the kernel, 1 for no batching (default: ${defaultBatch})`,
    )
    .option(
      '--moderation-us <n>',
      'how long at most to wait for a batch of completions, in microseconds (default: not)',
    )
    .option('--no-lwsocket', 'accept connections as ordinary sockets')
    .option('--no-partition', 'one accept queue for all workers')
    .option('--threads <n>', 'workers, which are threads or processes (default: one a CPU)')
    .option('--address <ip>', 'where to listen', '127.0.0.1')
    .option('--port <n>', 'where to listen (default: memcached 11211, nginx 8080)')
    .option('--cpus <list>', 'run on these CPUs only, like 0-3,6 (default: all)')
    .option('--workloads <list>', 'nginx: whose files to serve, of specweb, yahoo, yahoo/2 (default: all)')
    .option(
      '--version <version>',
      'another version that the port has, and that is built; by its number or a Debian release, such as trixie',
    )
    .option('--fine-grained-locks', 'without a lock for the whole cache: memcached 1.4.13')
    .action(serve);
}

async function serve(name: string, options: ServeOptions): Promise<void> {
  const application = findApplication(name, options.version);
  const cpus = chooseCpus(options.cpus);
  const workers = chooseWorkers(application, cpus.length, options.threads);
  const port = wholeNumber('--port', options.port ?? String(application.defaultPort), 1, 65535);
  await serveInForeground({
    application,
    variant: chooseForm(application, chooseVariant(application, options), options),
    place: { address: options.address, port, workers, cpus },
    workloads: chooseWorkloads(application, options.workloads),
  });
}

function chooseWorkers({ name, varies }: Application, cpus: number, threads: string | undefined): number {
  if (varies.includes('cores')) return threads ? wholeNumber('--threads', threads, 1, 1024) : cpus;
  if (threads === undefined) return 1;
  throw new UserError(`${name} has one worker, whatever --threads says`, {
    hint: 'leave --threads out',
    exitCode: 2,
  });
}

function chooseWorkloads({ name, workloads }: Application, list: string | undefined): readonly string[] {
  if (list === undefined) return workloads;
  const chosen = list.split(',');
  const unknown = chosen.find((one) => !workloads.includes(one));
  if (unknown === undefined) return chosen;
  throw new UserError(`${name} has no workload "${unknown}"`, {
    hint: `it has: ${workloads.join(', ')}`,
    exitCode: 2,
  });
}

function chooseVariant({ name, stock, techniques }: Application, options: ServeOptions): Variant {
  if (options.variant !== 'megapipe') {
    const chosen = parseVariant(options.variant);
    if (stock.includes(chosen)) return refuseChannelOptions(chosen, options);
    throw new UserError(`${name} has no variant ${chosen.id}`, {
      hint: `use --variant ${stock.map(({ id }) => id).join(', ')} or megapipe`,
      exitCode: 2,
    });
  }
  const batch = options.batch ? wholeNumber('--batch', options.batch, 1, 65536) : defaultBatch;
  const wanted: TechniqueName[] = [
    ...(options.partition ? (['partition'] as const) : []),
    ...(batch > 1 ? (['batch'] as const) : []),
    ...(options.lwsocket ? (['lwsocket'] as const) : []),
  ];
  const chosen = wanted.filter((one) => techniques.includes(one));
  const plain = megapipe(options.engine ?? 'uring', chosen, batch);
  if (options.moderationUs === undefined) return plain;
  return moderated(plain, wholeNumber('--moderation-us', options.moderationUs, 1, longestModerationUs));
}

function chooseForm(application: Application, variant: Variant, { fineGrainedLocks }: ServeOptions): Variant {
  if (!fineGrainedLocks) return variant;
  refuseFineGrained(application);
  return fineGrained(variant);
}

function refuseChannelOptions(
  chosen: Variant,
  { engine, batch, moderationUs, lwsocket, partition }: ServeOptions,
): Variant {
  const given = {
    '--engine': engine,
    '--batch': batch,
    '--moderation-us': moderationUs,
    '--no-lwsocket': !lwsocket,
    '--no-partition': !partition,
  };
  const [first] = Object.entries(given).find(([, value]) => value) ?? [];
  if (first === undefined) return chosen;
  throw new UserError(`${chosen.id} has no channels, so ${first} means nothing to it`, {
    hint: 'use --variant megapipe',
    exitCode: 2,
  });
}

function chooseCpus(list: string | undefined): number[] {
  const allowed = allowedCpus();
  if (list === undefined) return allowed;
  const cpus = parseCpuList(list);
  if (cpus.length > 0 && cpus.every((cpu) => allowed.includes(cpu))) return cpus;
  throw new UserError(`--cpus ${list} is not a list of this machine’s CPUs`, {
    hint: `there are ${allowed.join(', ')}`,
    exitCode: 2,
  });
}
