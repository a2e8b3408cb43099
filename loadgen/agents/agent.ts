import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../../src/base/errors.js';
import { loadEngine } from '../engine.js';
import { wallMs } from './clock.js';
import { type Limits, limitsInWords } from './limits.js';
import { type Connection, checkSecrecy, connectTo, fits, read, shownUrl } from './nats.js';
import type { AgentOptions } from './options.js';
import {
  type Answer,
  type Hello,
  protocolVersion,
  type Question,
  type QuestionName,
  questions,
  subjects,
} from './protocol.js';
import { dropRights } from './rights.js';
import { kitVersion } from './version.js';
import { beginWork, type News, type Work } from './work.js';

/** How long work may take to end, and what it told to be sent. */
const endingMs = 10_000;

const log = (text: string) => console.error(`megapipe: ${text}`);

/** What the agent works at, and when it last heard of its conductor. */
type Current = { work: Work; silenceMs: number; heardAt: number };

type Agent = {
  nats: Connection;
  session: string;
  limits: Limits;
  id: string;
  name: string;
  current: Current | undefined;
};

type Handlers = { [Name in QuestionName]: (question: Question<Name>) => Answer<Name> };

/** `megapipe agent`: wait for work and do it, until the signal. */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  checkSecrecy(options.nats, options.insecure);
  // Whom we become may not be able to read it.
  loadEngine();
  const rights = await dropRights(options.user);
  const nats = await connectTo(options.nats, -1);
  const name = options.name ?? `${hostname()}-${process.pid}`.replace(/[^\w.:-]/g, '_').slice(-64);
  const { session, allow, maxRate } = options;
  const limits = { allow, maxRate };
  const agent: Agent = { nats, session, limits, id: randomUUID(), name, current: undefined };
  const watch = watchConductor(agent);
  try {
    listen(agent);
    void logStatus(nats);
    log(`agent ${name} waits for work at ${shownUrl(options.nats)}, session ${session}`);
    log(`${limitsInWords(limits)}; ${rights}`);
    await untilEnd(nats, signal);
  } finally {
    clearInterval(watch);
    await end(agent);
  }
}

async function untilEnd(nats: Connection, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const stopped = once(signal, 'abort').then(() => false);
  const closed = await Promise.race([stopped, nats.closed().then((error) => error ?? true)]);
  if (closed === false) return;
  const reason = closed instanceof Error ? `: ${closed.message}` : '';
  throw new UserError(`the NATS server ended the connection for good${reason}`, {
    hint: 'its log tells why',
  });
}

async function end({ nats, current }: Agent): Promise<void> {
  current?.work.stop('the agent was told to end');
  await Promise.race([
    current?.work.done.then(() => nats.flush()),
    sleep(endingMs, undefined, { ref: false }),
  ]);
  await nats.close();
}

async function logStatus(nats: Connection): Promise<void> {
  for await (const { type } of nats.status()) {
    if (type === 'disconnect') log('the NATS server is gone; looking for it');
    if (type === 'reconnect') log('the NATS server is there again');
  }
}

function listen(agent: Agent): void {
  const { nats, session, id, name } = agent;
  nats.subscribe(subjects.hello(session), {
    callback: (error, message) => {
      if (error) return;
      const busy = agent.current !== undefined;
      const us: Hello = { protocol: protocolVersion, version: kitVersion, id, name, host: hostname(), busy };
      message.respond(JSON.stringify(us));
    },
  });
  const handlers = handlersOf(agent);
  for (const name of Object.keys(questions) as QuestionName[]) answer(agent, name, handlers);
}

function answer<Name extends QuestionName>(
  { nats, session, id }: Agent,
  name: Name,
  handlers: Handlers,
): void {
  nats.subscribe(subjects.agent(session, id, name), {
    callback: (error, message) => {
      if (error) return;
      const question = read(questions[name].question, message);
      if (question === undefined) return log(`a question "${name}" can't be understood; it is not answered`);
      message.respond(JSON.stringify(handlers[name](question as Question<Name>)));
    },
  });
}

function handlersOf(agent: Agent): Handlers {
  const workOf = (run: string) => (agent.current?.work.run === run ? agent.current : undefined);
  return {
    clock: () => ({ wallMs: wallMs() }),
    order: (order) => {
      if (agent.current) return { refused: 'it works for somebody else' };
      const { run, silenceMs, protocol } = order;
      log(`loads ${protocol} for run ${run}`);
      const work = beginWork(order, agent.limits, (news) => tell(agent, run, news));
      agent.current = { work, silenceMs, heardAt: performance.now() };
      void work.done.then(() => {
        agent.current = undefined;
        log('waits for work');
      });
      return { refused: null };
    },
    piece: (piece) => {
      const refused = workOf(piece.run)?.work.take(piece);
      return { refused: refused === undefined ? 'it does not work at this load' : refused };
    },
    start: ({ run, wallMs }) => {
      workOf(run)?.work.start(wallMs);
      return {};
    },
    stop: ({ run }) => {
      workOf(run)?.work.stop();
      return {};
    },
    ping: ({ run }) => {
      const current = workOf(run);
      if (current) current.heardAt = performance.now();
      return { run: agent.current?.work.run ?? null };
    },
  };
}

function tell({ nats, session, id }: Agent, run: string, news: News): void {
  if (news.kind === 'failed') log(`the load failed: ${news.message}`);
  const size = fits(nats, { ...news, id });
  const message = size.fits
    ? news
    : {
        kind: 'failed',
        message: `what it measured has ${size.bytes} bytes, and the NATS server takes ${size.most}`,
        hint: 'raise its max_payload',
        exitCode: 1,
      };
  if (!nats.isClosed()) nats.publish(subjects.run(session, run), JSON.stringify({ ...message, id }));
}

const watchMs = 1000;

/** A conductor that vanished can't end the load: so it ends by itself. Time in which we heard nothing at all doesn't count. */
function watchConductor(agent: Agent): NodeJS.Timeout {
  let lookedAt = performance.now();
  return setInterval(() => {
    const now = performance.now();
    const { current } = agent;
    if (current && now - lookedAt > 2 * watchMs) current.heardAt = now;
    lookedAt = now;
    if (!current || now - current.heardAt < current.silenceMs) return;
    current.work.stop(`nothing was heard of the conductor for ${current.silenceMs / 1000} s`);
  }, watchMs);
}
