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

/** Start a server or a client. */
export function startChild(command: string[], signal: AbortSignal, ending: Ending = {}) {
  return execa('setpriv', ['--pdeathsig', ending.orphaned ?? 'KILL', '--', ...command], {
    ...childOptions,
    cancelSignal: signal,
    timeout: ending.timeoutMs ?? 0,
  });
}
