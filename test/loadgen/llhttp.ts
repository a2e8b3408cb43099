import { join } from 'node:path';
import { execa } from 'execa';
import { root } from '../../src/base/paths.js';

/** Arguments of a compiler for a program that has the parser of HTTP in it. */
export async function llhttpArguments(): Promise<string[]> {
  const { stdout } = await execa('make', ['-s', '-C', join(root, 'loadgen/native'), 'llhttp-flags']);
  return stdout.split(' ');
}
