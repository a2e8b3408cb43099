import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from 'node:http2';
import { createConnection, type Socket } from 'node:net';
import { pause } from '../../waiting.js';
import type { End, Leaving, Seen } from '../client.js';
import { content } from '../content.js';
import type { Client, ClientStep, Request } from './scenario.js';
import { target } from './script.js';

/** No step takes longer; what would is seen as `open`. */
const patienceMs = 12_000;

/** A stream, and what has come of its answer. */
type Exchange = { stream: ClientHttp2Stream; headers: string; body: Buffer[]; isDone: boolean; end: string };

function headersOf(headers: IncomingHttpHeaders): string {
  const lines = Object.entries(headers).filter(([name]) => name !== 'date');
  return lines.map(([name, value]) => `${name}: ${value}\n`).join('');
}

function ask(session: ClientHttp2Session, { method, resource, body }: Request, isWhole: boolean): Exchange {
  const isPost = method === 'POST';
  const length = isPost ? { 'content-length': body } : {};
  const stream = session.request(
    { ':method': method, ':path': target(resource), ...length },
    { endStream: !isPost && isWhole },
  );
  const exchange: Exchange = { stream, headers: '', body: [], isDone: false, end: 'open' };
  stream.on('response', (headers) => {
    exchange.headers = headersOf(headers);
  });
  stream.on('error', () => {});
  stream.on('data', (chunk: Buffer) => exchange.body.push(chunk));
  stream.on('close', () => {
    exchange.isDone = true;
    exchange.end = `code ${stream.rstCode}`;
  });
  if (isPost && isWhole) stream.end(content(body));
  return exchange;
}

/** Whether a session is there still, and how it ended. */
function watch(session: ClientHttp2Session, raw: Socket) {
  const started = Date.now();
  let isConnected = false;
  const seen: { end: End | undefined; ms: number; finish(end: End): void } = {
    end: undefined,
    ms: 0,
    finish(end) {
      if (seen.end !== undefined) return;
      seen.end = end;
      seen.ms = Date.now() - started;
    },
  };
  raw.on('connect', () => {
    isConnected = true;
  });
  raw.on('error', ({ code }: NodeJS.ErrnoException) =>
    seen.finish(!isConnected ? 'refused' : code === 'ECONNRESET' ? 'reset' : 'closed'),
  );
  raw.on('end', () => seen.finish('closed'));
  session.on('close', () => seen.finish('closed'));
  session.on('error', () => {});
  return seen;
}

function leave(how: Leaving, session: ClientHttp2Session, raw: Socket) {
  if (how === 'reset') raw.resetAndDestroy();
  else if (how === 'fin') raw.destroy();
  else session.close();
}

/** All answers, one after the other; where the session ended among them, how much had come is chance. */
function gotOf(exchanges: Exchange[], end: End): Buffer {
  if (end !== 'open' && exchanges.some(({ end: how }) => how !== 'code 0')) return Buffer.alloc(0);
  return Buffer.concat(
    exchanges.flatMap(({ headers, body, end: how, isDone }) => [
      Buffer.from(`${headers}${how}\n`),
      ...(isDone ? body : []),
    ]),
  );
}

/** What a client of HTTP/1.1 does, over HTTP/2: requests that are sent at once are streams side by side. */
export async function runH2Client(client: Client, port: number): Promise<Seen> {
  const raw = createConnection({ host: '127.0.0.1', port });
  const session = connect(`http://127.0.0.1:${port}`, { createConnection: () => raw });
  const seen = watch(session, raw);
  const exchanges: Exchange[] = [];
  let isReading = true;
  const until = async (isDone: () => boolean, ms: number) => {
    const limit = Date.now() + ms;
    while (seen.end === undefined && !isDone() && Date.now() < limit) await pause(10);
  };
  const begin = (request: Request, isWhole = true) => {
    if (session.closed || session.destroyed) return;
    const exchange = ask(session, request, isWhole);
    if (!isReading) exchange.stream.pause();
    exchanges.push(exchange);
  };
  const run = async (step: ClientStep) => {
    switch (step.do) {
      case 'request':
        for (let time = 0; time < step.times; time += 1) for (const one of step.requests) begin(one);
        return;
      case 'begin request':
        return begin({ ...step.request, method: 'POST' }, false);
      case 'await answers':
        return until(() => exchanges.every(({ isDone }) => isDone), patienceMs);
      case 'await bytes':
        return until(() => exchanges.some(({ body }) => body.length > 0), patienceMs);
      case 'pause':
        return pause(step.ms);
      case 'stop reading':
      case 'read slowly':
        isReading = false;
        return;
      case 'read on':
        isReading = true;
        for (const { stream } of exchanges) stream.resume();
        return;
      case 'leave':
        leave(step.how, session, raw);
        seen.finish('left');
    }
  };
  for (const step of client.steps) if (seen.end === undefined) await run(step);
  await until(() => false, client.lingerMs);
  seen.finish('open');
  const got = gotOf(exchanges, seen.end as End);
  session.destroy();
  raw.destroy();
  return { got, end: seen.end as End, ms: seen.ms };
}
