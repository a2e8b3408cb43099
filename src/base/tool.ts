import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ExecaError, execa, type Options } from 'execa';
import { UserError } from './errors.js';
import { buildDir } from './paths.js';

/**
 * Run a build tool. Its output goes to build/log/<name>.log; when it fails, the end of the output is in the error.
 *
 * @param what the step in words, for the error: "compile libmegapipe"
 */
export async function runTool(what: string, command: string[], options: Options = {}): Promise<string> {
  const [file, ...args] = command as [string, ...string[]];
  try {
    const result = await execa(file, args, { ...options, all: true, stdin: 'ignore' });
    writeLog(what, String(result.all));
    return String(result.all);
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error;
    throw toolFailure(what, command, error);
  }
}

function toolFailure(what: string, command: string[], error: ExecaError): UserError {
  if (error.code === 'ENOENT') {
    return new UserError(`cannot ${what}: ${command[0]} is missing`, {
      hint: 'run: npm run build',
      cause: error,
    });
  }
  const output = String(error.all ?? error.shortMessage);
  const log = writeLog(what, output);
  const tail = output.trimEnd().split('\n').slice(-25).join('\n');
  return new UserError(`cannot ${what}: ${command.join(' ')} failed:\n${tail}\n`, {
    hint: `everything it said is in ${log}`,
    cause: error,
  });
}

function writeLog(what: string, output: string): string {
  const directory = join(buildDir, 'log');
  mkdirSync(directory, { recursive: true });
  const log = join(directory, `${what.replace(/[^a-z0-9.]+/gi, '-')}.log`);
  writeFileSync(log, output);
  return log;
}
