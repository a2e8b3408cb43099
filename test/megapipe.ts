import { join } from 'node:path';
import { execa } from 'execa';
import { root } from '../src/base/paths.js';

/** Run the command line as a person does; never throws for its exit status. */
export function megapipe(args: string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
  const command = [join(root, 'src/bootstrap.js'), ...args];
  return execa(process.execPath, command, { ...options, reject: false, stdin: 'ignore', timeout: 330_000 });
}
