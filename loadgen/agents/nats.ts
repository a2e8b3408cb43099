import { connect, createInbox, type Msg, type NatsConnection, RequestError } from '@nats-io/transport-node';
import type { z } from 'zod';
import { UserError } from '../../src/base/errors.js';
import { type Answer, type Question, type QuestionName, questions, subjects } from './protocol.js';

export type Connection = NatsConnection;

type Server = { servers: string; user?: string; pass?: string; tls?: object };

/** nats://HOST:PORT or tls://HOST:PORT, with USER:PASSWORD@ before the host if there must be one. */
function serverOf(text: string): Server {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^(?:nats|tls):$/.test(url.protocol) || url.hostname === '' || /[^/]/.test(url.pathname)) {
    throw new UserError(`--nats must be a URL like nats://HOST:4222, not ${JSON.stringify(text)}`, {
      hint: 'see --help',
      exitCode: 2,
    });
  }
  return {
    servers: `${url.hostname}:${url.port || 4222}`,
    ...(url.username
      ? { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) }
      : {}),
    ...(url.protocol === 'tls:' ? { tls: {} } : {}),
  };
}

/** Throws where a server is beyond loopback and nothing keeps others away from it. */
export function checkSecrecy(url: string, insecure: boolean): void {
  const { servers, pass, tls } = serverOf(url);
  const host = servers.slice(0, servers.lastIndexOf(':'));
  if (insecure || pass || tls || /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(host)) return;
  throw new UserError(
    `${shownUrl(url)} is beyond loopback, and asks for neither a password nor TLS: whoever reaches it can have agents load`,
    {
      hint: 'nats://USER:PASSWORD@HOST or tls://HOST, or --insecure where only your machines reach it',
      exitCode: 2,
    },
  );
}

/** The URL without its password, for messages. */
export function shownUrl(text: string): string {
  return text.replace(/\/\/[^@/]*@/, '//');
}

/**
 * Connect to a NATS server; there must be one now. When it goes away later, it is looked for again.
 *
 * @param attempts how often, every two seconds; -1: for ever
 */
export async function connectTo(url: string, attempts: number): Promise<Connection> {
  const server = serverOf(url);
  try {
    return await connect({ ...server, name: 'megapipe', maxReconnectAttempts: attempts, timeout: 10_000 });
  } catch (cause) {
    throw new UserError(`no NATS server answers at ${shownUrl(url)}: ${reasonOf(cause)}`, {
      hint: 'is nats-server running there, and reachable?',
      cause,
    });
  }
}

/** The client's words for it, or what made it fail. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  const errors = (cause as AggregateError | undefined)?.errors;
  const inner = (errors?.[0] ?? cause) as Error | undefined;
  return inner?.message && inner.message !== message ? `${message}: ${inner.message}` : message;
}

const text = new TextEncoder();

/** Whether the server takes a message of this size; it says so when connected to. */
export function fits({ info }: Connection, message: object): { bytes: number; most: number; fits: boolean } {
  const bytes = text.encode(JSON.stringify(message)).length;
  const most = info?.max_payload ?? 1 << 20;
  return { bytes, most, fits: bytes <= most };
}

/** A message's JSON as a schema has it; undefined: it isn't that. */
export function read<Schema extends z.ZodType>(schema: Schema, message: Msg): z.output<Schema> | undefined {
  try {
    const parsed = schema.safeParse(message.json());
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** An agent that did not answer, or not sensibly. */
export class NoAnswer extends Error {
  /** Nobody listens: it has ended, or lost its connection. */
  readonly isGone: boolean;

  constructor(message: string, isGone: boolean, cause?: unknown) {
    super(message, { cause });
    this.isGone = isGone;
  }
}

/** Ask an agent something. Throws NoAnswer. */
export async function ask<Name extends QuestionName>(
  nats: Connection,
  session: string,
  agent: string,
  name: Name,
  question: Question<Name>,
  timeoutMs: number,
): Promise<Answer<Name>> {
  const answer = await nats
    .request(subjects.agent(session, agent, name), JSON.stringify(question), { timeout: timeoutMs })
    .catch((cause: Error) => {
      const isGone = cause instanceof RequestError && cause.isNoResponders();
      throw new NoAnswer(isGone ? 'it is gone' : `no answer: ${cause.message}`, isGone, cause);
    });
  const parsed = read(questions[name].answer, answer);
  if (parsed === undefined) throw new NoAnswer(`its answer to "${name}" can't be understood`, false);
  return parsed as Answer<Name>;
}

/** Ask everybody, and hear what comes; until `stop` is called. */
export function askAll(
  nats: Connection,
  subject: string,
  heard: (message: Msg) => void,
): { again(): void; stop(): void } {
  const inbox = createInbox();
  const subscription = nats.subscribe(inbox, {
    callback: (error, message) => {
      // Where nobody listens, the server says so with an empty message.
      if (!error && message.data.length > 0) heard(message);
    },
  });
  return {
    again: () => nats.publish(subject, '{}', { reply: inbox }),
    stop: () => subscription.unsubscribe(),
  };
}
