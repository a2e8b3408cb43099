import { randomUUID } from 'node:crypto';
import { UserError } from '../../src/base/errors.js';
import { lengthOf } from '../rate.js';
import { checkClock, checkSteady, readClock } from './clock.js';
import { discover, interrupted } from './discover.js';
import { startHeartbeat } from './heartbeat.js';
import { ask, type Connection, fits, NoAnswer, read } from './nats.js';
import type { ConductorOptions } from './options.js';
import { isOver, type Member, makeParts, type Part, type Parts } from './parts.js';
import { piecesOf, sizesOf } from './pieces.js';
import { type Hello, type Order, report, subjects } from './protocol.js';
import type { Share } from './split.js';

/** Agents that carry one load out together. */
export type Crew = {
  nats: Connection;
  options: ConductorOptions;
  run: string;
  parts: Parts;
};

/** Preparing takes long where many keys are to be set over a slow network. */
const preparingMs = 1_800_000;
/** From the order to start to the start: so that it reaches every agent before. */
const leadMs = 500;
/** So much longer than it must, and an agent hangs. */
const overdueMs = 60_000;

const clockOf = (nats: Connection, { session, silence, clockBound }: ConductorOptions, { id, name }: Hello) =>
  readClock(async () => (await ask(nats, session, id, 'clock', {}, silence * 1000)).wallMs, clockBound).catch(
    (error) => {
      if (error instanceof NoAnswer) throw new UserError(`agent ${name} was there, but ${error.message}`);
      throw error;
    },
  );

/** Find the agents, and compare their clocks with ours, one after another. */
export async function gather(
  nats: Connection,
  options: ConductorOptions,
  signal: AbortSignal,
): Promise<Member[]> {
  const members: Member[] = [];
  for (const agent of await discover(nats, options, signal)) {
    const clock = await clockOf(nats, options, agent);
    checkClock(agent.name, clock, options.clockBound);
    members.push({ agent, clock, clockReadAt: performance.now() });
  }
  return members;
}

/** Work with agents; whatever happens, none of them goes on with it afterwards. */
export async function withCrew<T>(
  nats: Connection,
  options: ConductorOptions,
  members: Member[],
  work: (crew: Crew) => Promise<T>,
): Promise<T> {
  const crew: Crew = { nats, options, run: randomUUID(), parts: makeParts(members) };
  const { parts, run } = crew;
  const ending = new AbortController();
  nats.subscribe(subjects.run(options.session, run), {
    callback: (error, message) => {
      const news = error ? undefined : read(report, message);
      if (news) parts.hear(news);
    },
  });
  await nats.flush();
  // One that is only thought to be lost should not go on loading beside the others.
  parts.onChange((part) => {
    if (part.state === 'missing') void stop(crew, [part]);
  });
  const silenceMs = options.silence * 1000;
  startHeartbeat(parts, { nats, session: options.session, run, silenceMs, signal: ending.signal });
  try {
    return await work(crew);
  } finally {
    ending.abort();
    await stop(crew, parts.all);
  }
}

/** Tell agents to end it; those that don't hear it find out by themselves. */
async function stop({ nats, options, run }: Crew, parts: Part[]): Promise<void> {
  const asked = parts.map(({ agent }) => ask(nats, options.session, agent.id, 'stop', { run }, 3000));
  await Promise.allSettled(asked);
}

/** Have all agents ready to start. Throws where one of them can't be. */
export async function prepare(
  crew: Crew,
  protocol: string,
  orders: Share[],
  signal: AbortSignal,
): Promise<void> {
  const { parts, options } = crew;
  await Promise.all(parts.all.map((part, i) => give(crew, part, protocol, orders[i] as Share)));
  const late = loseLater(crew, (part) => part.state === 'preparing', preparingMs, 'it does not get ready');
  const isInterrupted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const settled = parts.until((all) => all.every(({ state }) => state === 'ready') || all.some(isOver));
  await Promise.race([settled, isInterrupted]);
  clearTimeout(late);
  if (signal.aborted) throw interrupted();
  const lost = parts.all.find(({ state }) => state === 'missing');
  if (!lost?.loss) return;
  const { message, hint, exitCode } = lost.loss;
  throw new UserError(`agent ${lost.agent.name}: ${message}`, {
    exitCode,
    hint: hint ?? `its stderr may tell more; --silence is ${options.silence} s`,
  });
}

async function give(
  { nats, options, run, parts }: Crew,
  part: Part,
  protocol: string,
  { given, content }: Share,
) {
  const { session, silence } = options;
  const silenceMs = silence * 1000;
  const words = given as Order['given'];
  const order: Order = { run, protocol, given: words, silenceMs, content: sizesOf(content) };
  const size = fits(nats, order);
  if (!size.fits) {
    const message = `the options have ${size.bytes} bytes, and the NATS server takes ${size.most}`;
    throw new UserError(message, { hint: 'raise its max_payload' });
  }
  try {
    let { refused } = await ask(nats, session, part.agent.id, 'order', order, silenceMs);
    for (const piece of piecesOf(run, content, size.most)) {
      if (refused !== null || part.state === 'missing') break;
      ({ refused } = await ask(nats, session, part.agent.id, 'piece', piece, silenceMs));
    }
    if (refused !== null) parts.lose(part, { message: refused, exitCode: 1 });
  } catch (error) {
    parts.lose(part, { message: (error as Error).message, exitCode: 1 });
  }
}

/** Start all agents at one instant, which each is told by its own clock. */
export async function start(crew: Crew): Promise<void> {
  const { nats, options, run, parts } = crew;
  for (const part of parts.all) await readAgain(crew, part);
  const atMs = Date.now() + leadMs + Math.max(...parts.all.map(({ clock }) => clock.uncertaintyMs));
  const told = parts.all.map(async (part) => {
    const wallMs = atMs + part.clock.offsetMs;
    await ask(nats, options.session, part.agent.id, 'start', { run, wallMs }, options.silence * 1000);
  });
  const outcomes = await Promise.allSettled(told);
  outcomes.forEach((outcome, i) => {
    const part = parts.all[i];
    if (part && outcome.status === 'rejected')
      parts.lose(part, { message: (outcome.reason as Error).message, exitCode: 1 });
  });
}

/** Preparing may have taken long: clocks drift, and are set. */
async function readAgain({ nats, options }: Crew, part: Part): Promise<void> {
  const before = part.clock;
  const now = await clockOf(nats, options, part.agent);
  checkClock(part.agent.name, now, options.clockBound);
  checkSteady(part.agent.name, before, now, performance.now() - part.clockReadAt);
  part.clock = now;
}

/**
 * Until each agent has a result or is lost. At the signal they are told to end early.
 *
 * @param mayLast whether the load lasts as long as it takes, unless --duration was given
 */
export async function untilOver(crew: Crew, mayLast: boolean, signal: AbortSignal): Promise<void> {
  const { options, parts } = crew;
  const { rate, requests, warmup = 1, timeout } = options;
  const duration = options.duration ?? (rate && lengthOf(rate));
  const pending = (part: Part) => !isOver(part);
  const timers: NodeJS.Timeout[] = [];
  const overdue = (ms: number, why: string) => timers.push(loseLater(crew, pending, ms, why));
  if (requests === undefined && (duration !== undefined || !mayLast))
    overdue((warmup + (duration ?? 10) + timeout) * 1000 + overdueMs, 'it does not end');
  const onAbort = () => {
    overdue(timeout * 1000 + overdueMs, 'it does not end, though it was told to');
    void stop(crew, parts.all.filter(pending));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  await parts.until((all) => all.every(isOver));
  signal.removeEventListener('abort', onAbort);
  for (const timer of timers) clearTimeout(timer);
}

function loseLater({ parts }: Crew, which: (part: Part) => boolean, ms: number, why: string): NodeJS.Timeout {
  const message = `${why}: it was waited for for ${(ms / 1000).toFixed(0)} s`;
  return setTimeout(() => {
    for (const part of parts.all.filter(which)) parts.lose(part, { message, exitCode: 1 });
  }, ms);
}
