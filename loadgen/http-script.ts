import { apportion, spreadEvenly } from './apportion.js';
import { contentPattern, contentStart } from './content.js';
import { filePath } from './file-set.js';
import type { Item } from './http-item.js';
import type { TraceConnection } from './http-trace.js';
import { type PerConnection, perConnectionSeries } from './per-connection.js';
import { ownRandom, type Part, stream } from './plan.js';
import type { Workload } from './workloads.js';

/** Which requests are sent, in which order, on which connections. */
export type Script = {
  items: Item[];
  /** One walk a thread, one behind the other. */
  sequences: Uint32Array;
  /** Of each connection how many requests, and where in the walk it begins; without starts it takes what comes. */
  limits: Uint32Array;
  starts?: Uint32Array;
  pattern: Uint8Array;
};

type Context = Part & { threads: number };

const sequenceLength = 2 ** 18;

/** The same walk for each thread, each from its own place. */
function turned(sequence: Uint32Array, threads: number): Uint32Array {
  const all = new Uint32Array(threads * sequence.length);
  for (let thread = 0; thread < threads; thread++) {
    const from = Math.floor((thread * sequence.length) / threads);
    all.set(sequence.subarray(from), thread * sequence.length);
    all.set(sequence.subarray(0, from), (thread + 1) * sequence.length - from);
  }
  return all;
}

function repeated(sequence: Uint32Array, threads: number): Uint32Array {
  const all = new Uint32Array(threads * sequence.length);
  for (let thread = 0; thread < threads; thread++) all.set(sequence, thread * sequence.length);
  return all;
}

function limitsOf(perConnection: PerConnection, context: Context): Uint32Array {
  return perConnectionSeries(perConnection, ownRandom(context, stream.limits));
}

/** One path after the other, in each thread; or by weights, evenly mixed. */
export function pathsScript(
  items: Item[],
  weights: number[] | undefined,
  perConnection: PerConnection,
  context: Context,
): Script {
  const limits = limitsOf(perConnection, context);
  const pattern = new Uint8Array(0);
  if (!weights) {
    const sequence = Uint32Array.from(items.keys());
    return { items, limits, pattern, sequences: repeated(sequence, context.threads) };
  }
  const random = ownRandom(context, stream.order);
  const sequence = spreadEvenly(apportion(weights, sequenceLength), random);
  return { items, limits, pattern, sequences: turned(sequence, context.threads) };
}

/** The last walk, which takes a third of a second to make: loads that are compared have the same. */
let lastWalk: { key: string; walk: Uint32Array } | undefined;

function walkOf({ name, requests }: Workload, context: Context): Uint32Array {
  const key = `${name} ${context.seed} ${context.part ?? 0}`;
  if (lastWalk?.key !== key) {
    lastWalk = { key, walk: spreadEvenly(requests, ownRandom(context, stream.order)) };
  }
  return lastWalk.walk;
}

/** A workload's files below a prefix, each answer's status, length and content known. */
export function workloadScript(
  workload: Workload,
  prefix: string,
  method: string,
  perConnection: PerConnection,
  context: Context,
): Script {
  const items = Array.from(workload.sizes, (length, n) => ({
    method,
    path: `${prefix}${filePath(workload, n)}`,
    expect: { status: 200, length, patternStart: contentStart(n) },
  }));
  return {
    items,
    limits: limitsOf(perConnection, context),
    sequences: turned(walkOf(workload, context), context.threads),
    pattern: contentPattern(),
  };
}

/** What tells one item of a trace from another. */
const itemKey = ({ method, path, expect }: Item) =>
  [method, path, expect.status, expect.length, expect.crc32].join(' ');

/** A trace's connections, each with its requests in their order. */
export function traceScript(connections: TraceConnection[], { threads }: Context): Script {
  const items: Item[] = [];
  const numbers = new Map<string, number>();
  const numberOf = (item: Item) => {
    const key = itemKey(item);
    const number = numbers.get(key) ?? items.push(item) - 1;
    numbers.set(key, number);
    return number;
  };
  const sequence = Uint32Array.from(connections.flatMap((requests) => requests.map(numberOf)));
  const limits = Uint32Array.from(connections, (requests) => requests.length);
  const starts = new Uint32Array(limits.length);
  limits.forEach((limit, i) => {
    if (i + 1 < starts.length) starts[i + 1] = (starts[i] ?? 0) + limit;
  });
  return { items, limits, starts, sequences: repeated(sequence, threads), pattern: new Uint8Array(0) };
}
