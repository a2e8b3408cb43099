import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { root } from '../base/paths.js';
import { startConversing } from '../host/child.js';
import type { OnHost } from '../host/topology.js';

/** What a load generator says when its window begins and when it ends. */
const windowEvent = z.object({ event: z.enum(['measuring', 'measured']), cpuUs: z.number() });
const finishedEvent = z.object({ event: z.literal('finished'), error: z.string().nullable() });
const anyEvent = z.union([windowEvent, finishedEvent]);

export type WindowEvent = z.infer<typeof windowEvent>;

/** A load: the words of `megapipe load`, and who hears of its window. */
export type Order = { words: string[]; onWindow(event: WindowEvent): void; timeoutMs: number };

/** A load generator that carries out one load after another: starting one takes longer than most loads. */
export type Generator = {
  /** Whether it has not ended. */
  isThere(): boolean;
  /** Carry out a load; resolves to what it prints, and throws with its own words where it can't. */
  load(order: Order): Promise<string>;
  stop(): Promise<void>;
};

/** What is heard of the load in hand. */
type Hearing = Pick<Order, 'onWindow'> & {
  printed(line: string): void;
  finished(error: string | null): void;
};

/** Start a load generator on a host. It ends when we do, at the latest. */
export function startGenerator(on: OnHost, signal: AbortSignal): Generator {
  const command = [process.execPath, join(root, 'dist/src/cli.js'), 'load', 'orders'];
  const child = startConversing(on(command), signal);
  const state = { hearing: undefined as Hearing | undefined, said: '' };
  createInterface({ input: child.stdout }).on('line', (line) => state.hearing?.printed(line));
  createInterface({ input: child.stderr }).on('line', (line) => {
    const event = eventIn(line);
    if (!event) state.said = line;
    else if (event.event === 'finished') state.hearing?.finished(event.error);
    else state.hearing?.onWindow(event);
  });
  const ended = child.then(({ shortMessage = 'it ended' }) => {
    throw new Error(`the load generator failed: ${state.said || shortMessage}`);
  });
  // Heard of by the load in hand; where there is none, by nobody.
  ended.catch(() => undefined);
  return {
    isThere: () => child.exitCode === null && child.signalCode === null,
    async load({ words, onWindow, timeoutMs }) {
      const late = AbortSignal.timeout(timeoutMs);
      const output = new Promise<string>((resolve, reject) => {
        late.onabort = () => reject(new Error('the load generator did not end in time'));
        state.hearing = hearing(onWindow, resolve, reject);
        child.stdin.write(`${JSON.stringify(words)}\n`);
      });
      return Promise.race([output, ended]).catch((error: unknown) => {
        // What it does now nobody knows.
        if (late.aborted) child.kill('SIGKILL');
        throw error;
      });
    },
    async stop() {
      child.kill('SIGKILL');
      await child;
    },
  };
}

/** What it prints and that it has finished come by two pipes: it is over when both are there, in whatever order. */
function hearing(
  onWindow: Order['onWindow'],
  resolve: (output: string) => void,
  reject: (error: Error) => void,
): Hearing {
  let output: string | undefined;
  let finished = false;
  const look = () => {
    if (finished && output !== undefined) resolve(output);
  };
  return {
    onWindow,
    printed: (line) => {
      output = line;
      look();
    },
    finished: (error) => {
      finished = true;
      if (error !== null) reject(new Error(`the load generator failed: ${error}`));
      look();
    },
  };
}

/** Other lines of its standard error are words to people. */
function eventIn(line: string): z.infer<typeof anyEvent> | undefined {
  return line.startsWith('{"event":') ? anyEvent.parse(JSON.parse(line)) : undefined;
}
