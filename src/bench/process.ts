import { once } from 'node:events';
import { createServer } from 'node:net';
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

/**
 * Start a server or a client. setpriv has the kernel kill it when this process dies without a chance to.
 *
 * @param timeoutMs after which it is killed; 0: never
 */
export function startChild(command: string[], signal: AbortSignal, timeoutMs = 0) {
  return execa('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
    ...childOptions,
    cancelSignal: signal,
    timeout: timeoutMs,
  });
}

/** A TCP port that nothing listens on. A new one for each server: the last one's may be busy for a while. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
