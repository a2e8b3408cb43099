import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { UserError } from '../../src/base/errors.js';
import type { Content } from '../given-content.js';
import { type LoadObserver, measure } from '../load.js';
import { silent } from '../progress.js';
import { protocolNamed } from '../protocols.js';
import type { CommonResult } from '../result.js';
import { wallMs } from './clock.js';
import { checkLimits, type Limits } from './limits.js';
import { type Arriving, arriving } from './pieces.js';
import type { Order, Piece, Report } from './protocol.js';

type WithoutId<One> = One extends unknown ? Omit<One, 'id'> : never;

/** What is told of work; who tells it is added elsewhere. */
export type News = WithoutId<Report>;

/** An agent's part of a load, from the order to its result. */
export type Work = {
  run: string;
  /** Take a piece of the order's content; why it isn't taken, or null. */
  take(piece: Piece): string | null;
  /** Load from this instant of our own clock. */
  start(wallMs: number): void;
  /** End it early: with its result so far, or, where there is a reason, without. */
  stop(reason?: string): void;
  /** Never rejects: what went wrong is told. */
  done: Promise<void>;
};

/** Begin to carry an order out. */
export function beginWork(order: Order, limits: Limits, tell: (news: News) => void): Work {
  const stopping = new AbortController();
  let start: (wallMs: number) => void = () => {};
  const started = new Promise<number>((resolve) => {
    start = resolve;
  });
  const content = arriving(order.content);
  let reason: string | undefined;
  const carryOn = async () => {
    try {
      const news = await carryOut(order, content, limits, tell, started, stopping.signal);
      tell(reason === undefined ? news : { kind: 'failed', message: reason, exitCode: 1 });
    } catch (error) {
      tell(failureOf(reason === undefined ? error : new UserError(reason)));
    }
  };
  return {
    run: order.run,
    take: content.take,
    start,
    stop(why) {
      reason ??= why;
      stopping.abort();
    },
    done: carryOn(),
  };
}

async function carryOut(
  order: Order,
  content: Arriving,
  limits: Limits,
  tell: (news: News) => void,
  started: Promise<number>,
  signal: AbortSignal,
): Promise<News> {
  const protocol = protocolNamed(order.protocol);
  if (!protocol) throw new UserError(`there is no load of "${order.protocol}" here`);
  const strange = Object.keys(order.given).find((name) => !protocol.options.includes(name));
  if (strange !== undefined) {
    const message = `an order has no option ${JSON.stringify(strange)}`;
    throw new UserError(message, { hint: 'files come as their bytes, never as paths', exitCode: 2 });
  }
  const load = await protocol.load(order.given, await untilWhole(content, signal));
  checkLimits(limits, load);
  const seen = { intervals: 0, begun: { monotonicNs: 0, wallMs: 0 } };
  const result = await measure(load, {
    signal,
    progress: silent,
    ...(limits.maxRate === undefined ? {} : { maxRate: limits.maxRate }),
    beforeLoading: async () => {
      tell({ kind: 'ready' });
      await untilStart(started, signal, tell);
    },
    notice: (notice, { monotonicNs }) => {
      if (notice === 'begun') seen.begun = { monotonicNs, wallMs: wallMs() };
      if (notice === 'begun' || notice === 'ended') tell({ kind: notice });
    },
    interval: (interval, phase, service) => {
      if (phase !== 'warmup') seen.intervals++;
      tell({ kind: 'interval', phase, interval, histogram: encodeIntoCompressedBase64(service) });
    },
  } satisfies LoadObserver);
  return resultNews(result, seen);
}

async function untilWhole(content: Arriving, signal: AbortSignal): Promise<Content> {
  const stopped = signal.aborted ? Promise.resolve() : once(signal, 'abort').then(() => undefined);
  const whole = await Promise.race([content.whole, stopped]);
  if (!whole) throw new UserError('it was stopped before it started');
  return whole;
}

/** A start lies as far ahead as an order takes, and a clock may be wrong. */
const furthestMs = 600_000;

async function untilStart(started: Promise<number>, signal: AbortSignal, tell: (news: News) => void) {
  const stopped = signal.aborted ? Promise.resolve() : once(signal, 'abort');
  const at = await Promise.race([started, stopped.then(() => undefined)]);
  if (at !== undefined && at - wallMs() > furthestMs)
    throw new UserError('it was told to start far in the future', { hint: 'do the clocks agree?' });
  if (at !== undefined) await Promise.race([sleep(at - wallMs()), stopped]);
  if (at === undefined || signal.aborted) throw new UserError('it was stopped before it started');
  tell({ kind: 'started', lateMs: wallMs() - at });
}

type Seen = { intervals: number; begun: { monotonicNs: number; wallMs: number } };

function resultNews({ series: _, ...result }: CommonResult, { intervals, begun }: Seen): News {
  const { start, seconds } = result.window;
  const beganWallMs = begun.wallMs - (begun.monotonicNs - start.monotonicNs) / 1e6;
  return { kind: 'result', result, intervals, beganWallMs, endedWallMs: beganWallMs + seconds * 1000 };
}

function failureOf(error: unknown): News {
  if (error instanceof UserError) {
    const { message, hint, exitCode } = error;
    return { kind: 'failed', message, exitCode, ...(hint === undefined ? {} : { hint }) };
  }
  console.error(error);
  return {
    kind: 'failed',
    message: `a bug, told on the agent's stderr: ${(error as Error).message}`,
    exitCode: 1,
  };
}
