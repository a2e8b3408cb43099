import type { Step } from '../steps.js';

/** What a request is for: a file, or an answer that the upstream gives in some manner. */
export type Resource =
  | { kind: 'file'; name: FileName }
  /** nginx's own: `return`. */
  | { kind: 'text' }
  | { kind: 'proxied'; through: Through; manner: Manner; size: number }
  /** proxy_pass to the server itself, until it has no connection left. */
  | { kind: 'loop' };

export const fileSizes = { empty: 0, small: 612, middle: 100_000, large: 8_000_000 } as const;
export type FileName = keyof typeof fileSizes | 'missing';

/** How nginx is set to pass requests on. */
export const throughs = ['buffered', 'unbuffered', 'kept', 'dead'] as const;
export type Through = (typeof throughs)[number];

/** How the upstream answers: its body at once, chunked, some now and then, cut off after a half, or never. */
export const manners = [
  'whole',
  'chunked',
  'slow',
  'close early',
  'reset early',
  'nothing',
  'close',
  'late',
] as const;
export type Manner = (typeof manners)[number];

export type Request = {
  method: 'GET' | 'HEAD' | 'POST';
  resource: Resource;
  /** Bytes of the body of a POST. */
  body: number;
  close: boolean;
};

/** What a client does, one after the other; without `leave` it waits for the server to close. */
export type ClientStep =
  /** All at once, so many times over: pipelined. */
  | { do: 'request'; requests: Request[]; times: number }
  /** A head that never ends, or a body. */
  | { do: 'begin request'; request: Request; portion: number }
  | Step;

/** To which of the listeners a client connects. */
export const ways = ['http', 'tls 1.2', 'tls 1.3', 'stream', 'h2'] as const;
export type Way = (typeof ways)[number];

export type Client = {
  way: Way;
  /** Which of the plain listeners that there are when it starts, modulo how many. */
  listener: number;
  startMs: number;
  /** So many do the same at the same time. */
  copies: number;
  steps: ClientStep[];
  lingerMs: number;
};

export type LifeStep = {
  atMs: number;
  do: 'reload' | 'rotate' | 'quit worker' | 'kill worker';
  /** For a reload: how many plain listeners there are from then on. */
  listeners: number;
};

export type NginxScenario = {
  workers: number;
  workerConnections: number;
  listeners: number;
  partition: boolean;
  listen: string;
  sendfile: boolean;
  /** In seconds. */
  sendTimeout: number;
  keepaliveTimeout: number;
  headerTimeout: number;
  proxyReadTimeout: number;
  keepaliveRequests: number;
  clients: Client[];
  life: LifeStep[];
};
