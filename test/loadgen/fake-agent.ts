import { randomUUID } from 'node:crypto';
import { connect } from '@nats-io/transport-node';
import { onTestFinished } from 'vitest';
import { protocolVersion, type QuestionName, subjects } from '../../loadgen/agents/protocol.js';
import { kitVersion } from '../../loadgen/agents/version.js';

type Answers = { [Name in QuestionName]?: (question: Record<string, unknown>) => unknown };

export type FakeAgent = { id: string; tell(run: string, report: object): void };

/** Speaks the protocol as it is told to, until the test ends: what it has no answer for it leaves unanswered. */
export async function fakeAgent(url: string, hello: object, answers: Answers = {}): Promise<FakeAgent> {
  const nats = await connect({ servers: url.replace('nats://', '') });
  onTestFinished(() => nats.close());
  const id = randomUUID();
  const us = {
    protocol: protocolVersion,
    version: kitVersion,
    id,
    name: 'fake',
    host: 'x',
    busy: false,
    ...hello,
  };
  nats.subscribe(subjects.hello('default'), {
    callback: (_error, message) => void message.respond(JSON.stringify(us)),
  });
  for (const [name, answer] of Object.entries(answers)) {
    nats.subscribe(subjects.agent('default', id, name as QuestionName), {
      callback: (_error, message) => {
        const said = Promise.resolve(answer(message.json()));
        void said.then((words) => message.respond(JSON.stringify(words)));
      },
    });
  }
  await nats.flush();
  return {
    id,
    tell: (run, report) => nats.publish(subjects.run('default', run), JSON.stringify({ id, ...report })),
  };
}

/** The answers of an agent that takes orders and does nothing about them. */
export const idle: Answers = {
  clock: () => ({ wallMs: Date.now() }),
  order: () => ({ refused: null }),
  start: () => ({}),
  stop: () => ({}),
  ping: ({ run }) => ({ run }),
};
