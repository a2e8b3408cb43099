import { execa } from 'execa';

/** A process of a sample: it ends when we do, however we end. */
export type Child = ReturnType<typeof startChild>;

const childOptions = {
  stdin: 'ignore',
  reject: false,
  // What a server prints for a whole sample is short; a flood is a failure whose beginning is enough.
  maxBuffer: 1_000_000,
  forceKillAfterDelay: 3_000,
} as const;

/** How a child ends where nobody waits for it. */
type Ending = {
  /** After which it is killed; never where this is not given. */
  timeoutMs?: number;
  /** What the kernel sends it when this process dies without a chance to: TERM lets it take its own children along. */
  orphaned?: 'KILL' | 'TERM';
};

/** A process that is told what to do, and answers, for as long as it runs; its output is not kept. */
export type Conversing = ReturnType<typeof startConversing>;

/** Start a server or a client. */
export function startChild(command: string[], signal: AbortSignal, ending: Ending = {}) {
  return execa('setpriv', tied(command, ending.orphaned), {
    ...childOptions,
    cancelSignal: signal,
    timeout: ending.timeoutMs ?? 0,
  });
}

/** Start a process to talk to over its standard input, which ends when we do, too. */
export function startConversing(command: string[], signal: AbortSignal) {
  return execa('setpriv', tied(command), {
    ...childOptions,
    stdin: 'pipe',
    buffer: false,
    cancelSignal: signal,
  });
}

/** The words that tie a command's life to that of this process. */
const tied = (command: string[], orphaned: Ending['orphaned'] = 'KILL') => [
  '--pdeathsig',
  orphaned,
  '--',
  ...command,
];
