import { z } from 'zod';
import { isEncodedHistogram, latencySchema } from '../latency.js';

/*
 * What agents and conductors say to each other over NATS. Messages are JSON. Whoever reaches the server can say
 * anything: what isn't exactly one of these messages is not heard, and what is may still be refused (limits.ts).
 *
 *   megapipe.SESSION.hello             conductor to all agents, each answers: hello
 *   megapipe.SESSION.agent.ID.clock    conductor asks, agent answers: clock
 *   megapipe.SESSION.agent.ID.order    the same: order, taken
 *   megapipe.SESSION.agent.ID.piece    the same, for each piece of the order's content: piece, taken
 *   megapipe.SESSION.agent.ID.start    the same: start, done
 *   megapipe.SESSION.agent.ID.stop     the same: stop, done
 *   megapipe.SESSION.agent.ID.ping     the same, every second while a load goes on: ping, pong
 *   megapipe.SESSION.run.RUN           agents tell the conductor of this run: report
 *
 * An order holds no path of a file: a body and a trace are content, whose bytes follow it in pieces, in their order.
 * Then the agent says `ready` once it could start at once, or `failed`. After the start come `begun`,
 * `interval`s, `ended` and `result`, or `failed`. An agent that isn't pinged for the order's silenceMs drops its work.
 */

/** Raised whenever agents and conductors of before and after wouldn't understand each other. */
export const protocolVersion = 2;

const id = z.string().regex(/^[\w-]{1,64}$/);
/** An instant, or a span, that a Date can hold, with room to spare. */
const ms = z.number().min(-4e15).max(4e15);
const count = z.int().min(0);
const atLeast0 = z.number().min(0);

/** What others say is shown on a terminal, which obeys some characters. */
const words = z
  .string()
  .max(8192)
  .transform((text) => text.replace(/\p{Cc}/gu, '�'));

/** Of service latencies in nanoseconds: V2, compressed, base64. */
const histogram = z.string().refine(isEncodedHistogram, 'is no histogram of ours');

/** An agent introduces itself. Read loosely: of another version only the versions need to be understood. */
export const hello = z.object({
  protocol: z.int(),
  version: words,
  id,
  name: words,
  host: words,
  busy: z.boolean(),
});

/** The agent's wall clock. */
const clock = z.strictObject({ wallMs: ms });

/** As much as one machine may send another to be held in memory. */
const largestContent = 256 << 20;

const contentSize = z.int().min(0).max(largestContent);
const contentName = z.enum(['body', 'trace']);

/** The longest that an agent may load for nobody. */
export const longestSilenceMs = 3_600_000;

const text = z.string().max(65_536);
const option = z.union([text, z.number(), z.boolean(), z.array(text).max(4096)]);

/** Have a part of a load ready. */
export const order = z.strictObject({
  run: id,
  protocol: z.string().regex(/^[a-z]{1,32}$/),
  /** As on the command line; which options there are, and what they may be, its protocol knows. */
  given: z.record(z.string().regex(/^[a-z][A-Za-z0-9]{0,31}$/), option),
  silenceMs: z.number().positive().max(longestSilenceMs),
  /** The bytes that come in pieces, body first. */
  content: z.strictObject({ body: contentSize.optional(), trace: contentSize.optional() }),
});

/** Bytes of an order's content, from a place on. */
const piece = z.strictObject({ run: id, of: contentName, at: count, base64: z.base64() });

/** Why an order, or a piece of it, is not taken; null: it is. */
const taken = z.strictObject({ refused: words.nullable() });

/** Load from this instant of the agent's own clock. */
const start = z.strictObject({ run: id, wallMs: ms });

const stop = z.strictObject({ run: id });

const ping = z.strictObject({ run: id });

/** What the agent works at. */
const pong = z.strictObject({ run: id.nullable() });

const done = z.strictObject({});

const interval = z.strictObject({
  atS: z.number(),
  lengthS: atLeast0,
  requests: count,
  rps: atLeast0,
  errors: count,
  connectionsOpen: count,
  latencyUs: latencySchema,
});

const phase = z.enum(['warmup', 'measuring', 'draining', 'finished']);

/** What agents tell of their work. */
export const report = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ready'), id }),
  z.strictObject({
    kind: z.literal('failed'),
    id,
    message: words,
    hint: words.optional(),
    exitCode: z.union([z.literal(1), z.literal(2)]),
  }),
  /** It loads, so much later than it was told to. */
  z.strictObject({ kind: z.literal('started'), id, lateMs: ms }),
  z.strictObject({ kind: z.literal('begun'), id }),
  z.strictObject({ kind: z.literal('interval'), id, phase, interval, histogram }),
  z.strictObject({ kind: z.literal('ended'), id }),
  z.strictObject({
    kind: z.literal('result'),
    id,
    /** As --json prints it, but without its series, which was sent already. */
    result: z.record(z.string(), z.unknown()),
    /** How many intervals of its window were sent. */
    intervals: count,
    /** Its window, by its own clock. */
    beganWallMs: ms,
    endedWallMs: ms,
  }),
]);

export type Hello = z.infer<typeof hello>;
export type Order = z.infer<typeof order>;
export type Piece = z.infer<typeof piece>;
export type Report = z.infer<typeof report>;
export type TimedInterval = Extract<Report, { kind: 'interval' }>;

/** Questions to one agent, and their answers. */
export const questions = {
  clock: { question: done, answer: clock },
  order: { question: order, answer: taken },
  piece: { question: piece, answer: taken },
  start: { question: start, answer: done },
  stop: { question: stop, answer: done },
  ping: { question: ping, answer: pong },
} as const;

export type Questions = typeof questions;
export type QuestionName = keyof Questions;
export type Question<Name extends QuestionName> = z.infer<Questions[Name]['question']>;
export type Answer<Name extends QuestionName> = z.infer<Questions[Name]['answer']>;

/** Where things are said. */
export const subjects = {
  hello: (session: string) => `megapipe.${session}.hello`,
  agent: (session: string, agentId: string, question: QuestionName) =>
    `megapipe.${session}.agent.${agentId}.${question}`,
  run: (session: string, run: string) => `megapipe.${session}.run.${run}`,
};
