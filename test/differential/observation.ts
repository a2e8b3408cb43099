import type { End } from './client.js';

/** One thing that can be seen of a server from outside, and by which measure two servers are the same in it. */
export type Fact =
  /** The same text. */
  | { by: 'text'; text: string }
  /** The same bytes; or, where the client left while they came, one the beginning of the other. */
  | { by: 'bytes'; bytes: Buffer; isCut: boolean }
  /** A connection that came to the same end at about the same time. */
  | { by: 'end'; end: End; ms: number }
  /** About the same time, in milliseconds. */
  | { by: 'time'; ms: number }
  /** As many, but for some. */
  | { by: 'count'; count: number; slack: number }
  /** No more than stock's, but for some and for a factor: memory, descriptors, connections. */
  | { by: 'amount'; amount: number; slack: number; factor: number };

/** What was seen of a server, each fact with its name. */
export type Observation = Map<string, Fact>;

/** A time that may be as short as it likes. */
export const within = (ms: number): Fact => ({ by: 'amount', amount: ms, slack: 2_000, factor: 1.5 });

/** A client's bytes around a place, short enough to be read. */
export function showBytes(bytes: Buffer, place = 0): string {
  const from = Math.max(0, place - 100);
  const part = bytes.toString('latin1', from, place + 200);
  return `${bytes.length} bytes, from ${from} ${JSON.stringify(part)}`;
}

export function show(fact: Fact | undefined): string {
  switch (fact?.by) {
    case undefined:
      return 'nothing';
    case 'text':
      return fact.text;
    case 'bytes':
      return showBytes(fact.bytes);
    case 'end':
      return `${fact.end} after ${fact.ms} ms`;
    case 'time':
      return `${fact.ms} ms`;
    case 'count':
      return `${fact.count}`;
    case 'amount':
      return `${fact.amount}`;
  }
}
