import type { Duplex } from 'node:stream';
import { type ExecaError, execa } from 'execa';

const tracepoint = 'raw_syscalls:sys_enter';

/** Counts the system calls of processes, between start and stop. */
export type SystemCallCounter = { start(): Promise<void>; stop(): Promise<number>; abandon(): void };

/** Why system calls can't be counted here, or undefined: found out by counting some. */
export async function whyNoTracing(): Promise<string | undefined> {
  try {
    await execa('perf', ['stat', '-x', ',', '-e', tracepoint, '--', 'true']);
    return undefined;
  } catch (error) {
    const { stderr, shortMessage } = error as ExecaError;
    const [said] = /(?<=^Error:\s+).+$/m.exec(String(stderr)) ?? [];
    return `perf cannot count system calls here: ${said ?? shortMessage.replaceAll('\n', ': ')}`;
  }
}

/** Attach perf to processes, counting nothing yet; perf obeys over a pipe and acknowledges over another. */
export function countSystemCalls(pids: number[]): SystemCallCounter {
  const perf = execa(
    'perf',
    ['stat', '-x', ',', '-e', tracepoint, '-p', pids.join(','), '--delay=-1', '--control', 'fd:3,4'],
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'], reject: false },
  );
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
      return parseCount(String((await perf).stderr));
    },
    abandon: () => void perf.kill('SIGKILL'),
  };
}

function parseCount(output: string): number {
  const count = /^(\d+),,raw_syscalls:sys_enter,/m.exec(output)?.[1];
  if (count === undefined) throw new Error(`perf gave no count: ${output.trim()}`);
  return Number(count);
}
