import type { Step } from '../steps.js';

/** Keys are a client's own, by number: what it is answered doesn't depend on others. */
export type Command =
  | { kind: 'set'; key: number; size: number; noreply: boolean }
  | { kind: 'meta set'; key: number; size: number }
  | { kind: 'get'; first: number; count: number }
  /** A set, and one get that asks for the value so many times: all of them hit. */
  | { kind: 'set and get'; key: number; size: number; count: number }
  | { kind: 'meta get'; key: number; flags: string }
  | { kind: 'delete'; key: number }
  | { kind: 'incr'; key: number }
  | { kind: 'touch'; key: number }
  /** A line as it is. */
  | { kind: 'line'; line: Line };

/** The keys that a get asks for. */
export const keysOf = ({ first, count }: Command & { kind: 'get' }, own: string) =>
  Array.from({ length: count }, (_, index) => `${own}${first + index}`);

/** Lines that ask for what isn't a value, and lines that are wrong. */
export const lines = [
  'version',
  'stats',
  'stats settings',
  'stats slabs',
  'stats conns',
  'verbosity 0',
  'nonsense',
  '',
  'get',
  'set k 0 0 abc',
  'set k 0 0 -1',
  'get longkey',
  'mg',
  'me k',
  'lru_crawler metadump all',
  'lru_crawler mgdump all',
  'flush_all 1000000',
  'cache_memlimit 64',
  'quit',
] as const;
export type Line = (typeof lines)[number];

export type ClientStep =
  /** All at once, so many times over. */
  | { do: 'commands'; commands: Command[]; times: number }
  /** A command of which the end never comes. */
  | { do: 'begin command'; command: Command; portion: number }
  | Step;

export type Client = {
  /** Text over a stream or UDP, or the binary protocol over a stream. */
  way: 'stream' | 'udp' | 'binary';
  startMs: number;
  /** So many do the same at the same time, each with keys of its own. */
  copies: number;
  steps: ClientStep[];
  lingerMs: number;
};

export type MemcachedScenario = {
  threads: number;
  /** `-c` */
  connections: number;
  /** `-m` */
  megabytes: number;
  /** `-R` */
  requestsPerEvent: number;
  idleTimeout: number;
  /** `-I` */
  itemMegabytes: number;
  transport: 'tcp' | 'tls' | 'unix';
  /** Whether it serves UDP beside TCP; clients of way `udp` are served only then. */
  udp: boolean;
  lwsocket: boolean;
  partition: boolean;
  clients: Client[];
};
