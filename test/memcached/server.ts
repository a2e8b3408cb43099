import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { execa, type Options } from 'execa';
import { describe, onTestFinished } from 'vitest';
import { loadPort, serverBinary, type Variant } from '../../src/port/port.js';
import { type Engine, engines, isOneEngine } from '../engines.js';
import type { Certificate } from '../nginx/certificate.js';
import { testUnless } from '../skip.js';
import { untilDone } from '../waiting.js';
import { type Connection, connect } from './connection.js';

/** Upstream's own leak, of options that it has read. */
const upstreamLeaks = 'leak:storage_init_config\n';

function spawnServer(command: string[], env: Record<string, string>) {
  const [first, ...args] = command as [string, ...string[]];
  return execa(first, args, { env, reject: false, all: true, stdin: 'ignore' });
}

type ServerProcess = ReturnType<typeof spawnServer>;

export type Server = {
  process: ServerProcess;
  port: number;
  udpPort: number;
  /** Where it listens; for memcached's own clients. */
  address: string;
  socketFile: string | undefined;
  connect(secure?: ConnectionOptions): Promise<Connection>;
  stats(what?: string): Promise<Record<string, string>>;
  /** Ends it with a signal, and tells how that went. */
  end(signal?: NodeJS.Signals): Promise<{ exitCode: number | undefined; output: string }>;
};

type Arguments = {
  variant?: Variant;
  /** One of the port's other versions. */
  version?: string | undefined;
  args?: string[];
  unix?: boolean;
  udp?: boolean;
  /** Clients come over TLS. */
  tls?: Certificate | undefined;
  env?: Record<string, string>;
  /** A command that runs the server: with limits of its own. */
  before?: string[];
  /** The build that checks its assertions. */
  debug?: boolean;
  /** The build with AddressSanitizer and UndefinedBehaviorSanitizer; what they say fails the test. */
  sanitize?: boolean;
};

/** Run a test file with another version that is built: MEMCACHED_TEST_VERSION=1.6.38 npx vitest run test/memcached. */
export const testedVersion = process.env.MEMCACHED_TEST_VERSION;

/**
 * Run a server to its end: for command lines that it refuses.
 *
 * @param before a command that runs the server
 */
export function run(
  variant: Variant,
  args: string[],
  options: Options = {},
  version = testedVersion,
  before: string[] = [],
) {
  const binary = serverBinary(loadPort('memcached', version), variant);
  const [command, ...all] = [...before, binary, '-u', userInfo().username, ...args] as [string, ...string[]];
  return execa(command, all, {
    reject: false,
    timeout: 120_000,
    stdin: 'ignore',
    ...options,
  });
}

async function untilReady<T>(process: ServerProcess, probe: () => T | Promise<T>): Promise<T> {
  return untilDone(probe, async () => {
    if (process.exitCode !== null || process.signalCode !== null) throw new Error((await process).all);
  });
}

function readPort(file: string, transport: 'TCP' | 'UDP'): number {
  const match = new RegExp(`^${transport} INET: (\\d+)$`, 'm').exec(readFileSync(file, 'latin1'));
  if (!match) throw new Error(`memcached has no ${transport} port yet`);
  return Number(match[1]);
}

function listenArguments({ unix, udp, tls }: Arguments, socketFile: string): string[] {
  if (unix) return ['-s', socketFile];
  const secure = tls ? ['-Z', '-o', `ssl_chain_cert=${tls.cert},ssl_key=${tls.key}`] : [];
  return [...secure, '-l', '127.0.0.1', '-p', '-1', '-U', udp ? '-1' : '0'];
}

/** Start a server that ends with the test. */
export async function start(options: Arguments = {}): Promise<Server> {
  const {
    variant = 'megapipe',
    version = testedVersion,
    args = [],
    unix = false,
    udp = false,
    env = {},
  } = options;
  const { sanitize = false, debug = false, before = [] } = options;
  const scratch = mkdtempSync(join(tmpdir(), 'megapipe-memcached-'));
  // The server writes into it, whoever it becomes.
  if (args.includes('-u')) chmodSync(scratch, 0o777);
  const portFile = join(scratch, 'port');
  const socketFile = join(scratch, 'socket');
  const command = ['-u', userInfo().username, ...listenArguments(options, socketFile), ...args];
  const binary = serverBinary(loadPort('memcached', version), variant, sanitize);
  const suppressions = join(scratch, 'leaks');
  writeFileSync(suppressions, upstreamLeaks);
  const process = spawnServer([...before, `${binary}${debug ? '-debug' : ''}`, ...command], {
    MEMCACHED_PORT_FILENAME: portFile,
    LSAN_OPTIONS: `suppressions=${suppressions}:print_suppressions=0`,
    ...env,
  });
  onTestFinished(async () => {
    // A sanitized server tells its leaks when it ends by itself.
    process.kill(sanitize ? 'SIGTERM' : 'SIGKILL');
    const { all } = await process;
    rmSync(scratch, { recursive: true, force: true });
    const complaint = all.search(/mc_megapipe\S*: runtime error|ERROR: (?:Address|Leak)Sanitizer/);
    if (complaint >= 0) throw new Error(all.slice(complaint));
  });
  // The file is there when the server listens. No connection to find that out: it would be among what tests count.
  const tcpPort = unix ? 0 : await untilReady(process, () => readPort(portFile, 'TCP'));
  const target = unix ? { path: socketFile } : { port: tcpPort, host: '127.0.0.1' };
  const secure = options.tls && { rejectUnauthorized: false };
  if (unix) (await untilReady(process, () => connect(target))).destroy();
  return {
    process,
    port: tcpPort,
    udpPort: udp ? readPort(portFile, 'UDP') : 0,
    address: unix ? socketFile : `127.0.0.1:${tcpPort}`,
    socketFile: unix ? socketFile : undefined,
    connect: (more) => connect(target, secure && { ...secure, ...more }),
    async stats(what = '') {
      const connection = await connect(target, secure);
      const answer = await connection.ask(`stats ${what}`.trim(), 'END\r\n');
      connection.destroy();
      return Object.fromEntries(
        [...answer.matchAll(/^STAT (\S+) (.*)\r$/gm)].map(([, name, value]) => [name, value]),
      );
    },
    async end(signal = 'SIGTERM') {
      process.kill(signal);
      const { exitCode, all } = await process;
      return { exitCode, output: all };
    },
  };
}

/** Tests for each engine, of the plain and of the sanitized build; engines that do not work here are a skip. */
export function describeEngines(tests: (engine: Engine, sanitize: boolean) => void) {
  for (const { engine, missing } of engines) {
    if (missing !== undefined) {
      testUnless(missing)(`${engine}: everything`, () => {});
      continue;
    }
    describe(engine, () => tests(engine, false));
    if (!isOneEngine) describe(`${engine}, sanitized`, () => tests(engine, true));
  }
}

/** The arguments that turn MegaPipe on. */
export function megapipe(engine: Engine, ...more: string[]): string[] {
  return ['-o', ['megapipe', `megapipe_engine=${engine}`, ...more].join(',')];
}

/** Whether the process is there still, and not as a zombie. */
export function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
}
