import { z } from 'zod';
import { latency } from '../result.js';

/*
 * What agents and conductors say to each other over NATS. Messages are JSON.
 *
 *   megapipe.SESSION.hello             conductor to all agents, each answers: hello
 *   megapipe.SESSION.agent.ID.clock    conductor asks, agent answers: clock
 *   megapipe.SESSION.agent.ID.order    the same: order, taken
 *   megapipe.SESSION.agent.ID.start    the same: start, done
 *   megapipe.SESSION.agent.ID.stop     the same: stop, done
 *   megapipe.SESSION.agent.ID.ping     the same, every second while a load goes on: ping, pong
 *   megapipe.SESSION.run.RUN           agents tell the conductor of this run: report
 *
 * An order is followed by `ready` once its agent could start at once, or `failed`. After the start come `begun`,
 * `interval`s, `ended` and `result`, or `failed`. An agent that isn't pinged for the order's silenceMs drops its work.
 */

/** Raised whenever agents and conductors of before and after wouldn't understand each other. */
export const protocolVersion = 1;

const id = z.string().min(1).max(64);
const ms = z.number();

/** An agent introduces itself. Read loosely: of another version only the versions need to be understood. */
export const hello = z.object({
  protocol: z.int(),
  version: z.string(),
  id,
  name: z.string(),
  host: z.string(),
  busy: z.boolean(),
});

/** The agent's wall clock. */
export const clock = z.strictObject({ wallMs: ms });

/** Have a part of a load ready. */
export const order = z.strictObject({
  run: id,
  protocol: z.string(),
  /** As on the command line. */
  given: z.record(z.string(), z.unknown()),
  silenceMs: z.number().positive(),
});

/** Why an order is not taken; null: it is. */
export const taken = z.strictObject({ refused: z.string().nullable() });

/** Load from this instant of the agent's own clock. */
export const start = z.strictObject({ run: id, wallMs: ms });

export const stop = z.strictObject({ run: id });

export const ping = z.strictObject({ run: id });

/** What the agent works at. */
export const pong = z.strictObject({ run: id.nullable() });

export const done = z.strictObject({});

const interval = z.strictObject({
  atS: z.number(),
  lengthS: z.number(),
  requests: z.number(),
  rps: z.number(),
  errors: z.number(),
  connectionsOpen: z.number(),
  latencyUs: latency,
});

const phase = z.enum(['warmup', 'measuring', 'draining', 'finished']);

/** What agents tell of their work. */
export const report = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ready'), id }),
  z.strictObject({
    kind: z.literal('failed'),
    id,
    message: z.string(),
    hint: z.string().optional(),
    exitCode: z.union([z.literal(1), z.literal(2)]),
  }),
  /** It loads, so much later than it was told to. */
  z.strictObject({ kind: z.literal('started'), id, lateMs: ms }),
  z.strictObject({ kind: z.literal('begun'), id }),
  /** With the histogram of its service latencies: V2, compressed, base64. */
  z.strictObject({ kind: z.literal('interval'), id, phase, interval, histogram: z.string() }),
  z.strictObject({ kind: z.literal('ended'), id }),
  z.strictObject({
    kind: z.literal('result'),
    id,
    /** As --json prints it, but without its series, which was sent already. */
    result: z.record(z.string(), z.unknown()),
    /** How many intervals of its window were sent. */
    intervals: z.int(),
    /** Its window, by its own clock. */
    beganWallMs: ms,
    endedWallMs: ms,
  }),
]);

export type Hello = z.infer<typeof hello>;
export type Order = z.infer<typeof order>;
export type Report = z.infer<typeof report>;
export type TimedInterval = Extract<Report, { kind: 'interval' }>;

/** Questions to one agent, and their answers. */
export const questions = {
  clock: { question: done, answer: clock },
  order: { question: order, answer: taken },
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
