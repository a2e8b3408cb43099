import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { onTestFailed, onTestFinished } from 'vitest';
import { freePort } from '../../src/host/free-port.js';
import { loadPort, serverBinary } from '../../src/port/port.js';
import { type Connection, connect } from '../memcached/connection.js';
import type { Place } from './config.js';
import { type Config, nginxConfig, workerCount } from './config.js';
import type { Kind } from './kinds.js';
import { isRunning, processTree, titleOf } from './processes.js';
import { pause, until } from './waiting.js';

export type Options = Config & {
  /** How many ports it gets; 1 unless said. */
  portCount?: number;
  /** What to write under html/ first. */
  files?: Record<string, string | Buffer>;
  /** What else the configuration needs, made in the server's folder. */
  prepare?: (directory: string) => unknown;
  /** Lines of the error log of [alert], [emerg] or [crit] that don't fail the test. */
  expected?: RegExp[];
  env?: Record<string, string>;
  /** RLIMIT_MEMLOCK, in KiB. */
  memlock?: number | undefined;
};

export type Nginx = Place & {
  kind: Kind;
  url: string;
  /** The process id of the master, as the pid file has it now. */
  master(): number;
  /** The process ids of the workers that have got as far as serving, of every master. */
  workers(): number[];
  /** Every process of this server: masters, workers, cache managers. */
  processes(): number[];
  /** What the error log holds: sanitizers' reports too. */
  errorLog(): string;
  /** Connect to the first port. The connection ends with the test. */
  connect(port?: number): Promise<Connection>;
  /** Write another configuration, for a reload; ports and folder stay. */
  configure(config: Config): void;
  signal(signal: NodeJS.Signals): void;
  /** Stop it gracefully now, and check its log; otherwise that happens when the test ends. */
  end(): Promise<void>;
};

/** How long anything may take before it is taken for hanging; no test is about this. */
const patienceSeconds = 240;

async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

function makeFolder(files: Record<string, string | Buffer>): string {
  const directory = mkdtempSync(join(tmpdir(), 'megapipe-nginx-'));
  const html = join(directory, 'html');
  mkdirSync(html);
  // Workers are nobody's where we are root.
  chmodSync(directory, 0o755);
  chmodSync(html, 0o777);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(html, name), content);
  return directory;
}

/** The server program of a kind. */
export function binaryOf(kind: Kind): string {
  if (kind.binary !== undefined) return kind.binary;
  const port = loadPort('nginx', kind.version, process.env.NGINX_TEST_BUILDS);
  return serverBinary(port, kind.variant, kind.sanitize);
}

/** The command of a program that may lock so much memory. */
const limited = (command: string[], memlock: number | undefined): [string, string[]] => {
  const [file, ...args] =
    memlock === undefined ? command : ['prlimit', `--memlock=${memlock * 1024}`, ...command];
  return [file as string, args];
};

function spawnServer(kind: Kind, directory: string, { env = {}, memlock }: Options) {
  const early = kind.version === undefined ? ['-e', join(directory, 'error.log')] : [];
  const args = ['-p', `${directory}/`, '-c', join(directory, 'nginx.conf'), ...early];
  return execa(...limited([binaryOf(kind), ...args], memlock), {
    env: { ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1', ...env },
    reject: false,
    all: true,
    stdin: 'ignore',
  });
}

type ServerProcess = ReturnType<typeof spawnServer>;

/** Check a configuration as `nginx -t` does. */
export async function checkConfig(kind: Kind, config: Config, memlock?: number) {
  const directory = makeFolder({});
  try {
    const ports = await freePorts(1);
    const file = join(directory, 'nginx.conf');
    writeFileSync(file, nginxConfig(kind, config, { port: ports[0] as number, ports, directory }));
    const early = kind.version === undefined ? ['-e', 'stderr'] : [];
    const args = ['-t', '-p', `${directory}/`, '-c', file, ...early];
    return await execa(...limited([binaryOf(kind), ...args], memlock), {
      reject: false,
      all: true,
      timeout: 60_000,
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

const isWorker = (pid: number) => titleOf(pid).startsWith('nginx: worker process');

/** A worker has its title as soon as its event method is initialised. */
async function untilServing(nginx: Nginx, process: ServerProcess, config: Config) {
  const wanted = config.master === false ? 0 : workerCount(config);
  const hasEnded = () =>
    !isRunning(process.pid as number) && !(config.daemon && (process.exitCode ?? 0) === 0);
  const hasFailed = () => hasEnded() || / \[emerg\] /.test(nginx.errorLog());
  const isServing = () => existsSync(join(nginx.directory, 'nginx.pid')) && nginx.workers().length >= wanted;
  await until('nginx serves', () => hasFailed() || isServing());
  if (!hasFailed()) return;
  nginx.signal('SIGKILL');
  const { all } = await process;
  throw new Error(`nginx did not start: ${nginx.errorLog() || all}`);
}

const fatal =
  / \[(?:alert|emerg|crit)\] |AddressSanitizer|LeakSanitizer|(?:ngx_megapipe|libmegapipe\/)\S*: runtime error/;

/** What in an error log should not be there. */
function complaints(log: string, expected: RegExp[]): string[] {
  const lines = log.split('\n');
  return lines.flatMap((line, index) => {
    if (!fatal.test(line) || expected.some((pattern) => pattern.test(line))) return [];
    return / \[/.test(line) ? [line] : lines.slice(index, index + 30);
  });
}

/** Ask it to stop once it has served its clients; end it by force where it does not. */
async function stopGracefully(nginx: Nginx, process: ServerProcess): Promise<string[]> {
  const left = () => nginx.processes().filter(isRunning);
  nginx.signal('SIGQUIT');
  const end = Date.now() + patienceSeconds * 1000;
  while (left().length > 0 && Date.now() < end) await pause(20);
  const forced = left();
  for (const pid of forced) kill(pid, 'SIGKILL');
  await process;
  await until('killed processes go', () => forced.every((pid) => !isRunning(pid)));
  return forced.length === 0
    ? []
    : [`processes ${forced} did not stop within ${patienceSeconds} s of SIGQUIT`];
}

function kill(pid: number, signal: NodeJS.Signals) {
  try {
    globalThis.process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function pidIn(file: string): number[] {
  const pid = Number(readIfThere(file));
  return pid > 0 ? [pid] : [];
}

function makeNginx(kind: Kind, place: Place, process: ServerProcess, expected: RegExp[]): Nginx {
  const pidFile = join(place.directory, 'nginx.pid');
  const errorLog = () => readIfThere(join(place.directory, 'error.log'));
  let ending: Promise<void> | undefined;
  const nginx: Nginx = {
    ...place,
    kind,
    url: `http://127.0.0.1:${place.port}`,
    master: () => pidIn(pidFile)[0] ?? (process.pid as number),
    processes: () =>
      processTree([process.pid as number, ...pidIn(pidFile), ...pidIn(`${pidFile}.oldbin`)]).filter(
        isRunning,
      ),
    workers: () => nginx.processes().filter(isWorker),
    errorLog,
    async connect(port = place.port) {
      const connection = await connect({ port, host: '127.0.0.1' });
      onTestFinished(() => connection.destroy());
      return connection;
    },
    configure: (config) =>
      writeFileSync(join(place.directory, 'nginx.conf'), nginxConfig(kind, config, place)),
    signal(signal) {
      for (const pid of new Set([nginx.master(), ...(signal === 'SIGKILL' ? nginx.processes() : [])]))
        kill(pid, signal);
    },
    end() {
      ending ??= finish();
      return ending;
    },
  };
  async function finish() {
    const found = await stopGracefully(nginx, process);
    found.push(...complaints(errorLog(), expected));
    if (found.length > 0) throw new Error(`${kind.name}: ${found.join('\n')}`);
  }
  return nginx;
}

/**
 * Start nginx; it ends with the test, and fails it if it does not stop when asked to, or if its error log has what
 * should not be there.
 *
 * @example const nginx = await start(kind, { server: 'location / { return 200 hello; }' });
 */
export async function start(kind: Kind, options: Options = {}): Promise<Nginx> {
  const { portCount = 1, files = {}, expected = [] } = options;
  const directory = makeFolder(files);
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  await options.prepare?.(directory);
  for (let tries = 1; ; tries += 1) {
    const ports = await freePorts(portCount);
    const place = { port: ports[0] as number, ports, directory };
    writeFileSync(join(directory, 'nginx.conf'), nginxConfig(kind, options, place));
    const process = spawnServer(kind, directory, options);
    if (process.pid === undefined) throw new Error((await process).shortMessage);
    const nginx = makeNginx(kind, place, process, expected);
    try {
      await untilServing(nginx, process, options);
    } catch (error) {
      nginx.signal('SIGKILL');
      await process;
      const isTaken = /Address already in use/.test(nginx.errorLog());
      if (!isTaken || tries === 5) throw error;
      rmSync(join(directory, 'error.log'), { force: true });
      await pause(100);
      continue;
    }
    let log = '';
    onTestFailed(() => console.error(`the end of the error log:\n${log}`));
    onTestFinished(async () => {
      await nginx.end().finally(() => {
        log = nginx.errorLog().split('\n').slice(-60).join('\n');
      });
    });
    return nginx;
  }
}
