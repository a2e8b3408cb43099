import { createConnection, type NetConnectOpts, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { pause } from '../waiting.js';

/** How a connection came to its end; `refused` is one that never was. */
export type End = 'left' | 'closed' | 'reset' | 'open' | 'refused';

/** What a client has seen. */
export type Seen = { got: Buffer; end: End; ms: number };

/** How a client leaves: `fin` closes at once, whatever it has not read; `half-close` reads on. */
export const leavings = ['fin', 'reset', 'half-close'] as const;
export type Leaving = (typeof leavings)[number];

/** A step of a client's, with bytes that are written as they are. */
export type Step =
  | { do: 'send'; data: Buffer }
  /** Read until enough has come. */
  | { do: 'await'; isDone(got: Buffer): boolean }
  | { do: 'pause'; ms: number }
  | { do: 'stop reading' }
  /** Read so much every 50 ms from now on. */
  | { do: 'read slowly'; bytes: number }
  | { do: 'read on' }
  | { do: 'leave'; how: Leaving }
  /** For who writes the script to follow it. */
  | { do: 'call'; run(): void };

export type Script = {
  to: NetConnectOpts;
  tls?: { ALPNProtocols?: string[]; maxVersion?: 'TLSv1.2' | 'TLSv1.3' };
  steps: Step[];
  /** How long it waits for the server to close, after its last step. */
  lingerMs: number;
};

/** No step takes longer; what would is seen as `open`. */
const patienceMs = 12_000;

/** Bytes that grow. */
function store() {
  let bytes = Buffer.alloc(1 << 14);
  let size = 0;
  return {
    add(chunk: Buffer) {
      if (size + chunk.length > bytes.length)
        bytes = Buffer.concat([bytes, Buffer.alloc(bytes.length + chunk.length)]);
      chunk.copy(bytes, size);
      size += chunk.length;
    },
    all: () => bytes.subarray(0, size),
  };
}

function open({ to, tls }: Script): { raw: Socket; stream: Duplex } {
  const raw = createConnection({ ...to, allowHalfOpen: true } as NetConnectOpts);
  raw.setNoDelay(true);
  if (!tls) return { raw, stream: raw };
  return {
    raw,
    stream: connectTls({ socket: raw, rejectUnauthorized: false, allowHalfOpen: true, ...tls } as never),
  };
}

/** The way it reads: all that comes, nothing, or some now and then. */
function reader(stream: Duplex, take: (chunk: Buffer) => void) {
  let timer: NodeJS.Timeout | undefined;
  stream.on('readable', () => void (timer === undefined && drain()));
  let isStopped = false;
  function drain() {
    while (!isStopped) {
      const chunk = stream.read() as Buffer | null;
      if (chunk === null) return;
      take(chunk);
    }
  }
  function every(bytes: number) {
    const size = Math.min(bytes, stream.readableLength);
    const chunk = size > 0 ? (stream.read(size) as Buffer | null) : null;
    if (chunk) take(chunk);
    else if (size === 0) stream.read(0);
  }
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    isStopped = true;
  };
  return {
    stop,
    slow(bytes: number) {
      stop();
      isStopped = false;
      timer = setInterval(() => every(bytes), 50);
    },
    on() {
      stop();
      isStopped = false;
      drain();
    },
  };
}

function leave(how: Leaving, raw: Socket, stream: Duplex) {
  // Only TCP has a reset: a UNIX socket has no address, nor has one that isn't connected yet.
  const canReset = raw.remoteAddress !== undefined;
  if (how === 'half-close') stream.end();
  else if (how === 'reset' && canReset) raw.resetAndDestroy();
  else stream.destroy();
}

/** What happens to a connection: whoever waits is woken by each event. */
function watch(raw: Socket, stream: Duplex) {
  const started = Date.now();
  let isConnected = false;
  let wake = () => {};
  const seen: { end: End | undefined; ms: number; finish(how: End): void; wake(): void } = {
    end: undefined,
    ms: 0,
    finish(how) {
      if (seen.end !== undefined) return;
      seen.end = how;
      seen.ms = Date.now() - started;
      wake();
    },
    wake: () => wake(),
  };
  const fail = ({ code }: NodeJS.ErrnoException) => {
    const isReset = code === 'ECONNRESET' || code === 'EPIPE';
    seen.finish(!isConnected ? 'refused' : isReset ? 'reset' : 'closed');
  };
  raw.on('connect', () => {
    isConnected = true;
  });
  raw.on('error', fail);
  if (stream !== raw) stream.on('error', fail);
  stream.on('end', () => seen.finish('closed'));
  stream.on('close', () => seen.finish(isConnected ? 'closed' : 'refused'));

  /** Wait until something is so, or the connection's end, or for so long. */
  async function until(isDone: () => boolean, ms: number) {
    const limit = Date.now() + ms;
    while (seen.end === undefined && !isDone() && Date.now() < limit)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(1, limit - Date.now()));
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
  }
  return { seen, until };
}

/** Connect, do the steps one after the other, and tell what was seen. */
export async function runClient(script: Script): Promise<Seen> {
  const got = store();
  const { raw, stream } = open(script);
  const { seen, until } = watch(raw, stream);
  const read = reader(stream, (chunk) => {
    got.add(chunk);
    seen.wake();
  });
  const run = async (step: Step) => {
    switch (step.do) {
      case 'send':
        return void stream.write(step.data);
      case 'call':
        return step.run();
      case 'await':
        return until(() => step.isDone(got.all()), patienceMs);
      case 'pause':
        return pause(step.ms);
      case 'stop reading':
        return read.stop();
      case 'read slowly':
        return read.slow(step.bytes);
      case 'read on':
        return read.on();
      case 'leave':
        leave(step.how, raw, stream);
        if (step.how !== 'half-close') seen.finish('left');
    }
  };
  for (const step of script.steps) if (seen.end === undefined) await run(step);
  await until(() => false, script.lingerMs);
  read.stop();
  seen.finish('open');
  stream.destroy();
  raw.destroy();
  return { got: Buffer.from(got.all()), end: seen.end as End, ms: seen.ms };
}
