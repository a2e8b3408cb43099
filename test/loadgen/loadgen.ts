import { join } from 'node:path';
import { execa } from 'execa';
import { type LoadResult, loadResultSchema } from '../../loadgen/result.js';
import { root } from '../../src/paths.js';

type Environment = Record<string, string>;

/** Run `megapipe load memcached` with the compiled command line; never throws for its exit status. */
export function runLoad(args: string[], env: Environment = {}) {
  const command = [join(root, 'dist/src/cli.js'), 'load', 'memcached', ...args];
  return execa(process.execPath, command, { reject: false, stdin: 'ignore', timeout: 90_000, env });
}

/** Run it with --json. Throws unless that is what it prints. */
export async function load(args: string[], env: Environment = {}): Promise<LoadResult> {
  const { stdout, stderr, exitCode } = await runLoad([...args, '--json'], env);
  if (exitCode !== 0) throw new Error(`exit status ${exitCode}: ${stderr}`);
  return loadResultSchema.parse(JSON.parse(stdout));
}
