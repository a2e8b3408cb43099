import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that runs; the kernel may give its number to another one later, but not with the same start. */
export type ProcessId = { pid: number; startedAt: string };

/** A process and all that it started and that still runs, itself first; nothing where it has ended. */
export function processTree(pid: number): ProcessId[] {
  const running = listRunning();
  const below = (parent: number): Running[] =>
    running.filter((one) => one.parent === parent).flatMap((one) => [one, ...below(one.pid)]);
  const top = running.filter((one) => one.pid === pid);
  return top.flatMap((one) => [one, ...below(pid)]).map(({ pid, startedAt }) => ({ pid, startedAt }));
}

/** Kill processes outright, in this order, and wait until they are gone; those that ended before are no matter. */
export async function killAll(processes: ProcessId[]): Promise<void> {
  for (const one of processes.filter(stillRuns)) kill(one.pid);
  const deadline = Date.now() + patienceMs;
  while (processes.some(stillRuns)) {
    if (Date.now() > deadline) throw new Error('processes of the server do not end, though they were killed');
    await sleep(5);
  }
}

const patienceMs = 30_000;

type Running = ProcessId & { parent: number };

function listRunning(): Running[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readRunning(Number(name)));
}

/** Fields count from the last bracket: a command's name may hold brackets and spaces. A zombie runs no more. */
function readRunning(pid: number): Running[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return [];
    return [{ pid, parent: Number(fields[1]), startedAt: fields[19] ?? '' }];
  } catch {
    return [];
  }
}

function stillRuns({ pid, startedAt }: ProcessId): boolean {
  return readRunning(pid).some((running) => running.startedAt === startedAt);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
