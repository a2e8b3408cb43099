import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { root } from '../../src/base/paths.js';
import { readProcessTime } from '../../src/host/cpu-time.js';
import { loadPort, variantDirectory } from '../../src/port/port.js';
import { readResults } from '../../src/results/file.js';
import type { Results } from '../../src/results/schema.js';
import { until } from '../waiting.js';

const bootstrap = join(root, 'src/bootstrap.js');

/** Why there is no server to run, or undefined: `npm test` builds them before it begins. */
export const notBuilt = whyNotBuilt('memcached');
export const nginxNotBuilt = whyNotBuilt('nginx');

function whyNotBuilt(application: string): string | undefined {
  return (['baseline', 'megapipe'] as const)
    .map((variant) => join(variantDirectory(loadPort(application), variant), application))
    .filter((binary) => !existsSync(binary))
    .map((binary) => `${binary} is not built`)[0];
}

/** The one run of a results file. */
export function runOf(file: string): Results {
  const [run, ...others] = readResults(file);
  if (!run || others.length > 0) throw new Error(`${file} has ${1 + others.length} runs`);
  return run;
}

/** A results file in a folder of its own. */
export function newResults(): string {
  return join(mkdtempSync(join(tmpdir(), 'megapipe-bench-')), 'run.ndjson');
}

/** `megapipe` in the background. */
export function start(args: string[]) {
  return execa(process.execPath, [bootstrap, ...args], {
    reject: false,
    stdin: 'ignore',
    all: true,
    timeout: 270_000,
  });
}

/** The processes that a process started and that still run, with their command lines. */
export function childrenOf(parent: number): { pid: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const [stat, command] = [read(`/proc/${name}/stat`), read(`/proc/${name}/cmdline`)];
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const runs = fields[0] !== 'Z' && Number(fields[1]) === parent;
      return runs ? [{ pid: Number(name), command: command.replaceAll('\0', ' ') }] : [];
    });
}

/** The process that measures, in its own session, once it is there; the one that was started waits for it. */
export async function measuringIn(bench: number): Promise<number> {
  let measuring: number | undefined;
  await until('a session measures', () => {
    measuring = childrenOf(bench).find(({ command }) => command.includes('bootstrap.js bench'))?.pid;
    return measuring !== undefined;
  });
  return measuring as number;
}

/** Whether processes of a server have something to do: starting takes next to no time of a CPU. */
export function areLoaded(pids: number[]): boolean {
  const used = pids.filter(isRunning).map((pid) => readProcessTime(pid).tickedUs);
  return used.reduce((sum, us) => sum + us, 0) > 200_000;
}

/** It may have ended meanwhile. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

export function isRunning(pid: number): boolean {
  return read(`/proc/${pid}/stat`) !== '' && !/^State:\s+Z/m.test(read(`/proc/${pid}/status`));
}

/** Namespaces of a process's making. */
export async function namespacesOf(pid: number): Promise<string[]> {
  const { stdout } = await execa('ip', ['netns', 'list'], { reject: false });
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name.startsWith(`megapipe-${pid}-`));
}
