import { readdirSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { type ExecaError, execa } from 'execa';
import { readCpus } from '../host/cpu-time.js';

const systemCall = 'raw_syscalls:sys_enter';
const wakeUp = 'sched:sched_waking';

/** What the kernel did for a server's processes over a window. */
export type Traced = {
  systemCalls: number;
  /** Wake-ups of its threads by another CPU than the one they wait on. */
  remoteWakeUps: number;
};

/** Counts events between start and stop. */
type Counter<T> = { start(): Promise<void>; stop(): Promise<T>; abandon(): void };

export type TraceCounter = Counter<Traced>;

/** Why events can't be counted here, or undefined: found out by counting some. */
export async function whyNoTracing(): Promise<string | undefined> {
  try {
    await execa('perf', ['stat', '-x', ',', ...eventsOf(process.pid), '--', 'true']);
    return undefined;
  } catch (error) {
    const { stderr, shortMessage } = error as ExecaError;
    const [said] = /(?<=^Error:\s+).+$/m.exec(String(stderr)) ?? [];
    return `perf cannot count system calls here: ${said ?? shortMessage.replaceAll('\n', ': ')}`;
  }
}

const eventsOf = (pid: number) => ['-e', systemCall, '-a', ...wakeUpsOf([pid])];

/** Count what the kernel does for processes, nothing yet. Their threads are those that they have now. */
export function countEvents(pids: number[]): TraceCounter {
  const calls = countWith(['-e', systemCall, '-p', pids.join(',')]);
  const wakeUps = countWith(['-a', ...wakeUpsOf(pids.flatMap(threadsOf))]);
  return {
    start: async () => void (await Promise.all([calls.start(), wakeUps.start()])),
    stop: async () => {
      const [systemCalls, remoteWakeUps] = await Promise.all([calls.stop(), wakeUps.stop()]);
      return { systemCalls, remoteWakeUps };
    },
    abandon: () => {
      calls.abandon();
      wakeUps.abandon();
    },
  };
}

const threadsOf = (pid: number) => readdirSync(`/proc/${pid}/task`).map(Number);

/** An event a CPU: it wakes one of these threads, which waits on another one. The kernel filters, nothing is recorded. */
function wakeUpsOf(threads: number[]): string[] {
  const woken = threads.map((id) => `pid == ${id}`).join(' || ');
  return readCpus().flatMap(({ cpu }) => [
    '-e',
    wakeUp,
    '--filter',
    `CPU == ${cpu} && target_cpu != ${cpu} && (${woken})`,
  ]);
}

/** Attach perf, counting nothing yet; perf obeys over a pipe and acknowledges over another. */
function countWith(events: string[]): Counter<number> {
  const perf = execa('perf', ['stat', '-x', ',', ...events, '--delay=-1', '--control', 'fd:3,4'], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    reject: false,
  });
  const [commands, answers] = [perf.stdio[3] as Duplex, perf.stdio[4] as Duplex];
  const order = (word: string) =>
    new Promise<void>((resolve, reject) => {
      answers.once('data', () => resolve());
      void perf.then(({ stderr }) => reject(new Error(`perf ended early: ${stderr}`)));
      commands.write(`${word}\n`);
    });
  return {
    start: () => order('enable'),
    stop: async () => {
      await order('disable');
      perf.kill('SIGINT');
      return parseCounts(String((await perf).stderr));
    },
    abandon: () => void perf.kill('SIGKILL'),
  };
}

/** All of them together. */
function parseCounts(output: string): number {
  const counts = [...output.matchAll(/^(\d+),,(?:raw_syscalls:sys_enter|sched:sched_waking),/gm)];
  if (counts.length === 0) throw new Error(`perf gave no count: ${output.trim()}`);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}
