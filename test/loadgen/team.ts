import { join } from 'node:path';
import { type ExecaError, execa } from 'execa';
import { onTestFinished, vi } from 'vitest';
import { runAgent } from '../../loadgen/agents/agent.js';
import { agentOptions } from '../../loadgen/agents/options.js';
import type { Given } from '../../loadgen/result.js';
import { root } from '../../src/base/paths.js';
import { type AgentPlace, type Agents, startAgents } from '../../src/host/agents.js';
import { type NatsPlace, type NatsServer, startNats } from '../../src/host/nats-server.js';
import { until } from '../waiting.js';

export type { ExecaError };

/** Ends what a test file started, should it not end it itself. */
const never = new AbortController().signal;

/** A NATS server that ends with the test. */
export async function natsForTest(place: Partial<NatsPlace> = {}): Promise<NatsServer> {
  const nats = await startNats({ address: '127.0.0.1', ...place }, never);
  onTestFinished(() => nats.stop());
  return nats;
}

/** Agents that end with the test. */
export async function agentsForTest(
  url: string,
  places: (string | AgentPlace)[],
  session = 'default',
): Promise<Agents> {
  const all = places.map((place) => (typeof place === 'string' ? { name: place } : place));
  const agents = await startAgents(all, url, session, never);
  onTestFinished(() => agents.stop());
  return agents;
}

/** An agent in this process, with what else its command line says. */
export async function agentHere(url: string, options: Given = {}): Promise<void> {
  const stop = new AbortController();
  const said = vi.spyOn(console, 'error').mockImplementation(() => {});
  const isRoot = process.getuid?.() === 0;
  const all = agentOptions({ nats: url, ...(isRoot ? { user: 'root' } : {}), ...options });
  const running = runAgent(all, stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await running;
    said.mockRestore();
  });
  const isThere = () => said.mock.calls.some(([text]) => String(text).includes('waits for work at'));
  await Promise.race([running, until('it waits for work', isThere)]);
}

/** On a busy machine: nothing here is about how quickly somebody answers. */
const patience = ['--timeout', '120', '--agents-within', '60', '--clock-bound', '60000'];

/** Run `megapipe load PROTOCOL` on a host; never throws for its exit status. Later options win. */
export function conduct(
  protocol: string,
  args: string[],
  on: (command: string[]) => string[] = (command) => command,
) {
  const command = [process.execPath, join(root, 'dist/src/cli.js'), 'load', protocol, ...patience, ...args];
  const [file, ...rest] = on(command) as [string, ...string[]];
  const running = execa(file, rest, { reject: false, stdin: 'ignore', timeout: 330_000 });
  onTestFinished(() => void running.kill('SIGKILL'));
  return running;
}

export type Running = ReturnType<typeof conduct>;

/** Until it has written that to its stderr. */
export function untilSays(running: Running, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    running.stderr.on('data', (chunk: Buffer) => {
      said += chunk;
      if (said.includes(what)) resolve();
    });
    running.stderr.on('end', () => reject(new Error(`it never said ${what}, but: ${said}`)));
  });
}
