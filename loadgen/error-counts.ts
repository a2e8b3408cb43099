import { z } from 'zod';

/** A count. */
export const count = z.number().int().nonnegative();

/** What went wrong, by kind: the names of LOAD_ERROR_KINDS in loadgen/native/load.h, in its order. */
export const errorCounts = z.object({
  /** connect() failed. */
  connect: count,
  /** connect() found no free local port. */
  portExhaustion: count,
  /** The server said that it has too many connections. */
  refused: count,
  /** The server ended a connection that was in use. */
  reset: count,
  /** The server said that it ends a connection while more requests were in flight on it (pipelining). */
  closed: count,
  /** Nothing came for --timeout. */
  timeout: count,
  /** What came was no answer; the connection was given up. */
  protocol: count,
  /** The server answered with an error. */
  server: count,
  /** A value was not what had been stored, an answer not what it must be. */
  verification: count,
  other: count,
});
export type ErrorCounts = z.infer<typeof errorCounts>;
