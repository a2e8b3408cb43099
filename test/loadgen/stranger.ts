import { randomUUID } from 'node:crypto';
import { connect } from '@nats-io/transport-node';
import { onTestFinished } from 'vitest';
import { type QuestionName, questions, subjects } from '../../loadgen/agents/protocol.js';
import type { Given } from '../../loadgen/result.js';
import { until } from '../waiting.js';

const session = 'default';

/** What an agent tells of its work. */
export type Told = { kind: string; message?: string; hint?: string };

/** Somebody who reaches the NATS server, and is no `megapipe load`. */
export type Stranger = {
  /** The id of the only agent, and whether it works. */
  agent(): Promise<{ id: string; busy: boolean }>;
  /** Ask something with any bytes; its answer. */
  say(question: QuestionName | 'hello', words: string | Uint8Array): Promise<unknown>;
  /** The same to everything that an agent listens to, without waiting for an answer. */
  shout(words: string | Uint8Array): void;
  /** Give an order, and hear what becomes of it until the work has failed or could start. */
  order(protocol: string, given: Given, more?: object): Promise<Told>;
};

export async function strangerAt(url: string): Promise<Stranger> {
  const nats = await connect({ servers: url.replace('nats://', '') });
  onTestFinished(() => nats.close());
  const hello = async () =>
    (await nats.request(subjects.hello(session), '{}', { timeout: 60_000 })).json<{
      id: string;
      busy: boolean;
    }>();
  const { id } = await hello();
  const say: Stranger['say'] = async (question, words) => {
    const subject = question === 'hello' ? subjects.hello(session) : subjects.agent(session, id, question);
    return (await nats.request(subject, words, { timeout: 60_000 })).json();
  };
  return {
    agent: hello,
    say,
    shout(words) {
      const names = Object.keys(questions) as QuestionName[];
      const all = names.map((name) => subjects.agent(session, id, name));
      for (const subject of [subjects.hello(session), ...all]) nats.publish(subject, words);
    },
    async order(protocol, given, more = {}) {
      const run = randomUUID();
      const told: Told[] = [];
      nats.subscribe(subjects.run(session, run), {
        callback: (_error, message) => void told.push(message.json()),
      });
      await nats.flush();
      const order = { run, protocol, given, silenceMs: 60_000, content: {}, ...more };
      const answer = await nats.request(subjects.agent(session, id, 'order'), JSON.stringify(order), {
        timeout: 60_000,
      });
      const { refused } = answer.json<{ refused: string | null }>();
      if (refused !== null) return { kind: 'refused', message: refused };
      await until('it is ready or has failed', () => told.length > 0);
      await nats.request(subjects.agent(session, id, 'stop'), JSON.stringify({ run }), { timeout: 60_000 });
      await until('it waits for work', async () => !(await hello()).busy);
      return told[0] as Told;
    },
  };
}

const common = {
  concurrency: '1',
  close: 'rst',
  requests: '1',
  pipeline: '1',
  arrival: 'constant',
  engine: 'auto',
  batch: '32',
  timeout: '120',
  seed: '1',
  verify: true,
};

/** Options of `megapipe load http`, complete. */
export const httpGiven = (url: string): Given => ({ ...common, urls: [url], header: [] });

/** The same of `megapipe load echo`. */
export const echoGiven = (server: string): Given => ({
  ...common,
  server,
  requestsPerConnection: '10',
  size: '64',
});
