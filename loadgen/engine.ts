import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { UserError } from '../src/base/errors.js';
import { buildDir } from '../src/base/paths.js';
import type { ErrorCounts } from './error-counts.js';

/** What is sent and how; loadgen/native/load.h explains the members. */
export type Plan = {
  protocol: 'memcached-ascii' | 'memcached-binary' | 'http' | 'echo';
  path?: string;
  host?: string;
  port?: number;
  engine: string;
  batch: number;
  threads: number;
  cpus: Uint32Array;
  concurrency: number;
  pipeline: number;
  multiget: number;
  resetClose: boolean;
  /** HTTP: the last request of a connection says Connection: close. */
  announceClose?: boolean;
  verify: boolean;
  /** In bytes: the largest request, and a good size of buffers for answers. */
  requestSize: number;
  answerSize: number;
  timeoutNs: number;
  warmupNs: number;
  /** 0: until `requests` are answered. */
  durationNs: number;
  /** 0: until the duration is over. */
  requests: number;
  /** Requests of each connection, in turn; 0: no limit. */
  limits: Uint32Array;
  /** Where in its thread's sequence each connection begins, one a limit; without: they share one walk. */
  starts?: Uint32Array;
  /** With starts: each connection is made once; `requests` is the sum of all limits. */
  once?: boolean;
  /** Open loop: times between requests, one series a thread, one behind the other; empty: closed loop. */
  gapsNs: Float64Array;
  /** One sequence a thread, one behind the other: kind << 30 | item. */
  sequences: Uint32Array;
  /** Keys; of HTTP the requests' heads; of echo the messages. */
  keys: Uint8Array;
  keyOffsets: Uint32Array;
  pattern: Uint8Array;
  /** memcached. */
  valueSizes?: Uint32Array;
  /** HTTP: three numbers an item, struct load_answer. */
  answers?: Uint32Array;
  /** HTTP: the body of those requests that have one. */
  body?: Uint8Array;
};

export type Counters = {
  sent: number;
  failed: number;
  unsent: number;
  hits: number;
  misses: number;
  verified: number;
  bytesSent: number;
  bytesReceived: number;
  /** HTTP: bytes of bodies among those received, and answers by status, from 100 on. */
  bodyBytes: number;
  statuses: Float64Array;
  connections: number;
  /** By kind of request. */
  answered: Float64Array;
  /** As answered, with each key of a multiget counted. */
  items: Float64Array;
  errors: ErrorCounts;
};

export type ChannelStats = {
  requests: number;
  completions: number;
  flushes: number;
  flushed: number;
  fetches: number;
  fetched: number;
  crossings: number;
  bufferWaits: number;
  overflows: number;
};

export type ThreadUsage = {
  cpu: number;
  wallNs: number;
  userUs: number;
  systemUs: number;
  /** Runnable, but not running; -1: this kernel doesn't say. */
  waitingNs: number;
};

export type Snapshot = {
  phase: 'warmup' | 'measuring' | 'draining' | 'finished';
  engine: string;
  /** The server's words at its latest error. */
  complaint: string;
  /** Why the run could not go on: -errno, or 0. */
  error: number;
  lastError: number;
  /** The measuring window, CLOCK_MONOTONIC; the end is 0 while it lasts. */
  beginNs: number;
  endNs: number;
  nowNs: number;
  open: number;
  warmup: Counters;
  measuring: Counters;
  draining: Counters;
  stats: ChannelStats;
  threads: ThreadUsage[];
  service: Float64Array;
  corrected: Float64Array;
  /** HTTP: from sending a request to the first byte of its answer. */
  firstByte: Float64Array;
  connect: Float64Array;
};

export type Notice = 'begun' | 'ended' | 'finished';

/** A load in the native engine, from its construction on. Hold it until it is finished: an engine that nobody holds ends. */
export type Run = {
  /** How it stands now. */
  snapshot(): Snapshot;
  /** End early: the window closes now, then comes `finished`. */
  stop(): void;
  /** After `finished`: the last snapshot. The run can't be used any more. */
  finish(): Snapshot;
};

export type Engine = {
  /**
   * Starts to load, and tells `notify` when the window begins and ends, and when all is over.
   *
   * Throws a TypeError or RangeError that names a member of the plan that is wrong, and an error with `code` and `errno`,
   * as Node's own, where the engine can't start.
   */
  Run: new (
    plan: Plan,
    notify: (notice: Notice) => void,
  ) => Run;
};

let loaded: Engine | undefined;

/** The native engine. MEGAPIPE_LOAD_ADDON names another build of it, for example with sanitizers. */
export function loadEngine(): Engine {
  if (loaded) return loaded;
  const path = process.env.MEGAPIPE_LOAD_ADDON ?? join(buildDir, 'loadgen', 'load.node');
  if (!existsSync(path)) {
    throw new UserError(`the load engine isn't built: no ${path}`, { hint: 'run: npm run build' });
  }
  loaded = createRequire(import.meta.url)(path) as Engine;
  return loaded;
}
