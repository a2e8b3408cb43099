import { once } from 'node:events';
import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import { root } from '../base/paths.js';
import { type Child, startChild } from './child.js';

/** Where an agent runs: what it is called, and a command prefix that leads to its host. */
export type AgentPlace = {
  name: string;
  on?: (command: string[]) => string[];
  env?: Record<string, string>;
  /** More of its command line. */
  options?: string[];
};

/** Agents that wait for work. */
export type Agents = {
  /** In the order of their places. */
  pids: number[];
  /** Whether none has ended. */
  areThere(): boolean;
  stop(): Promise<void>;
};

const readyWithinMs = 120_000;

/** Start agents, and wait until all of them wait for work. They end when we do, at the latest. */
export async function startAgents(
  places: AgentPlace[],
  url: string,
  session: string,
  signal: AbortSignal,
): Promise<Agents> {
  const children = places.map((place) => startChild(commandOf(place, url, session), signal));
  const stop = async () => {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(children);
  };
  try {
    await Promise.all(children.map((child, i) => untilWaiting(child, places[i]?.name ?? '')));
  } catch (error) {
    await stop();
    throw error;
  }
  const isThere = ({ exitCode, signalCode }: Child) => exitCode === null && signalCode === null;
  return {
    pids: children.map(({ pid }) => pid as number),
    areThere: () => children.every(isThere),
    stop,
  };
}

/** They are ours, and as we are: a change of the user would also free them of ending with us. */
const asWhom = process.getuid?.() === 0 ? ['--user', 'root'] : [];

/** Each part replaces itself by the next: the process that is started is the agent's. */
function commandOf(place: AgentPlace, url: string, session: string) {
  const { name, on = (command) => command, env = {}, options = [] } = place;
  const agent = [process.execPath, join(root, 'dist/src/cli.js'), 'agent', '--nats', url, '--name', name];
  const settings = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  return ['env', ...settings, ...on([...agent, '--session', session, ...asWhom, ...options])];
}

async function untilWaiting(child: Child, name: string): Promise<void> {
  let said = '';
  const waits = new Promise<true>((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk;
      if (said.includes('waits for work at')) resolve(true);
    });
  });
  const signal = AbortSignal.timeout(readyWithinMs);
  const late = once(signal, 'abort').then(() => `did not get ready within ${readyWithinMs / 1000} s`);
  const ended = child.then(({ shortMessage }) => `ended: ${said.trim().split('\n').at(-1) || shortMessage}`);
  const outcome = await Promise.race([waits, late, ended]);
  if (outcome !== true) throw new UserError(`agent ${name} ${outcome}`);
}
