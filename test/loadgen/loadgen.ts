import { join } from 'node:path';
import { execa } from 'execa';
import { type EchoResult, echoResultSchema } from '../../loadgen/echo-result.js';
import { type HttpResult, httpResultSchema } from '../../loadgen/http-result.js';
import { type LoadResult, loadResultSchema } from '../../loadgen/memcached-result.js';
import { root } from '../../src/base/paths.js';

type Environment = Record<string, string>;

/** A server or client that is kept waiting by other work is no error, unless a test says otherwise. */
const patience = ['--timeout', '120'];

function runGenerator(protocol: string, args: string[], env: Environment) {
  const command = [join(root, 'dist/src/cli.js'), 'load', protocol, ...patience, ...args];
  return execa(process.execPath, command, { reject: false, stdin: 'ignore', timeout: 330_000, env });
}

async function jsonOf(running: ReturnType<typeof runGenerator>): Promise<unknown> {
  const { stdout, stderr, exitCode } = await running;
  if (exitCode !== 0) throw new Error(`exit status ${exitCode}: ${stderr}`);
  return JSON.parse(String(stdout));
}

/** Run `megapipe load memcached` with the compiled command line; never throws for its exit status. */
export function runLoad(args: string[], env: Environment = {}) {
  return runGenerator('memcached', args, env);
}

/** Run it with --json. Throws unless that is what it prints. */
export async function load(args: string[], env: Environment = {}): Promise<LoadResult> {
  return loadResultSchema.parse(await jsonOf(runLoad([...args, '--json'], env)));
}

/** Run `megapipe load http`; never throws for its exit status. */
export function runHttpLoad(args: string[], env: Environment = {}) {
  return runGenerator('http', args, env);
}

/** Run it with --json. Throws unless that is what it prints. */
export async function loadHttp(args: string[], env: Environment = {}): Promise<HttpResult> {
  return httpResultSchema.parse(await jsonOf(runHttpLoad([...args, '--json'], env)));
}

/** Run `megapipe load echo`; never throws for its exit status. */
export function runEchoLoad(args: string[], env: Environment = {}) {
  return runGenerator('echo', args, env);
}

/** Run it with --json. Throws unless that is what it prints. */
export async function loadEcho(args: string[], env: Environment = {}): Promise<EchoResult> {
  return echoResultSchema.parse(await jsonOf(runEchoLoad([...args, '--json'], env)));
}
