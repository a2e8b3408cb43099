import { execa } from 'execa';
import { dieOf } from '../base/signals.js';

/** Tells the process in the session that it is there. */
const marker = 'MEGAPIPE_OWN_SESSION';

/** Whether this process was started by `runInOwnSession`. */
export const inOwnSession = () => process.env[marker] !== undefined;

/** What a terminal or a person sends to a command, and what then is sent to the process in the session. */
const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGWINCH'] as const;

/**
 * Run this program once more, with the same words, in a session of its own, and end as it ends. The session has no
 * terminal, which this process keeps: it passes on what the terminal's user wants. However this process ends, the other
 * one is told to.
 */
export async function runInOwnSession(): Promise<void> {
  const words = [
    '--pdeathsig',
    'TERM',
    '--',
    process.execPath,
    ...process.execArgv,
    ...process.argv.slice(1),
  ];
  const child = execa('setpriv', words, {
    detached: true,
    stdio: 'inherit',
    reject: false,
    env: { [marker]: String(process.pid) },
  });
  const stopPassing = passOn(child.pid as number);
  const { exitCode, signal } = await child;
  stopPassing();
  if (signal) await dieOf(signal as NodeJS.Signals);
  process.exitCode = exitCode ?? 1;
}

/** Signals to the process; a stop, and what ends it, to all of its session: a stopped client's server would wait. */
function passOn(pid: number): () => void {
  const listeners: [NodeJS.Signals, () => void][] = [
    ...passedOn.map((name): [NodeJS.Signals, () => void] => [name, () => tell(pid, name)]),
    [
      'SIGTSTP',
      () => {
        tell(-pid, 'SIGSTOP');
        process.kill(process.pid, 'SIGSTOP');
      },
    ],
    ['SIGCONT', () => tell(-pid, 'SIGCONT')],
  ];
  for (const [name, listener] of listeners) process.on(name, listener);
  return () => {
    for (const [name, listener] of listeners) process.off(name, listener);
  };
}

/** It may have ended meanwhile. */
function tell(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
