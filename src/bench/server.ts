import { setTimeout as sleep } from 'node:timers/promises';
import type { Variant } from '../results.js';
import type { Topology } from '../topology.js';
import type { Application } from './application.js';
import { dialogue } from './dialogue.js';
import { type Child, freePort, startChild } from './process.js';

/** A server that answers. */
export type RunningServer = {
  pid: number;
  address: string;
  port: number;
  ask(words: string): Promise<string>;
  /** End it; throws where it had died before. */
  stop(): Promise<void>;
};

const readyWithinMs = 10_000;

/** Start a server on the topology's server host and wait until it answers. */
export async function startServer(
  application: Application,
  variant: Variant,
  topology: Topology,
  signal: AbortSignal,
): Promise<RunningServer> {
  const { address, threads } = topology.record.server;
  const port = await freePort();
  const command = application.serverCommand(variant, { address, port, threads });
  const child = startChild(topology.onServer(command), signal);
  const ask = (words: string) => dialogue(topology.onServer, address, port, words);
  try {
    await untilReady(child, application, ask);
  } catch (error) {
    child.kill('SIGKILL');
    await child;
    throw error;
  }
  return { pid: child.pid as number, address, port, ask, stop: () => stopServer(child) };
}

async function untilReady(
  child: Child,
  { ready }: Application,
  ask: (words: string) => Promise<string>,
): Promise<void> {
  const deadline = Date.now() + readyWithinMs;
  while (Date.now() < deadline) {
    const answer = await Promise.race([child.then(describeEnd), ask(ready.words).catch(() => '')]);
    if (ready.answer.test(answer)) return;
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(describeEnd(await child));
    await sleep(20);
  }
  throw new Error(`the server did not answer within ${readyWithinMs / 1000} s`);
}

/** Outright: there is nothing to save, and memcached takes up to a second to end in order. */
async function stopServer(child: Child): Promise<void> {
  const died = child.exitCode !== null || child.signalCode !== null;
  child.kill('SIGKILL');
  const result = await child;
  if (died && !result.isCanceled) throw new Error(describeEnd(result));
}

function describeEnd({ exitCode, signal, stderr }: Awaited<Child>): string {
  const how = signal ? `was killed by ${signal}` : `ended with status ${exitCode}`;
  const said = stderr.trim().split('\n').slice(-3).join('; ');
  return `the server ${how}${said ? `: ${said}` : ''}`;
}
