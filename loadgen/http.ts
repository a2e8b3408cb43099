import type { Plan } from './engine.js';
import type { Expectation, Item } from './http-item.js';
import { carriesBody, type HttpOptions } from './http-options.js';
import { pathsScript, type Script, traceScript, workloadScript } from './http-script.js';
import { readTrace } from './http-trace.js';
import { sharedPlan } from './plan.js';
import { workload } from './workloads.js';

/** struct load_answer's check and flags; LOAD_ANY_LENGTH. */
const check = { nothing: 0, pattern: 1, crc32: 2 };
const flag = { isHead: 1, sendsBody: 2 };
const anyLength = 0xffffffff;

/** Heads and little of bodies come in one piece; with much larger buffers memory would only grow. */
const answerHead = 512;
const largestBuffer = 16_384;

function hasHeader(headers: string[], name: string): boolean {
  return headers.some((header) => header.toLowerCase().startsWith(`${name}:`));
}

/** A request up to its blank line, and with it. */
function headOf({ method, path }: Item, { host, header, body }: HttpOptions): string {
  const hostLine = hasHeader(header, 'host') ? [] : [`Host: ${host}`];
  const length = carriesBody(method) ? [`Content-Length: ${body.length}`] : [];
  return `${[`${method} ${path} HTTP/1.1`, ...hostLine, ...header, ...length].join('\r\n')}\r\n\r\n`;
}

function heads(script: Script, options: HttpOptions): Pick<Plan, 'keys' | 'keyOffsets'> {
  const texts = script.items.map((item) => Buffer.from(headOf(item, options), 'latin1'));
  const keyOffsets = new Uint32Array(texts.length + 1);
  texts.forEach((text, i) => {
    keyOffsets[i + 1] = (keyOffsets[i] ?? 0) + text.length;
  });
  return { keys: Buffer.concat(texts), keyOffsets };
}

/** struct load_answer, as three numbers. */
function answerOf({ method, expect }: Item, hasBody: boolean): [number, number, number] {
  const how =
    expect.patternStart !== undefined
      ? check.pattern
      : expect.crc32 !== undefined
        ? check.crc32
        : check.nothing;
  const flags = (method === 'HEAD' ? flag.isHead : 0) | (hasBody && carriesBody(method) ? flag.sendsBody : 0);
  const content = expect.patternStart ?? expect.crc32 ?? 0;
  // A HEAD has no body to compare.
  const checked = method === 'HEAD' ? check.nothing : how;
  const first = ((expect.status ?? 0) | (checked << 16) | (flags << 24)) >>> 0;
  return [first, expect.length ?? anyLength, content];
}

function expectationOf({ expectStatus, expectLength, expectCrc32 }: HttpOptions): Expectation {
  return {
    ...(expectStatus === undefined ? {} : { status: expectStatus }),
    ...(expectLength === undefined ? {} : { length: expectLength }),
    ...(expectCrc32 === undefined ? {} : { crc32: expectCrc32 }),
  };
}

/** What is asked for: a workload's files, a trace, or the URLs of the command line. */
export function makeScript(options: HttpOptions): Script {
  const { method, paths } = options;
  const perConnection = options.requestsPerConnection ?? { kind: 'unlimited' as const };
  const first = paths[0] ?? '/';
  if (options.workload) {
    const named = workload(options.workload);
    const prefix = first.endsWith('/') ? first : `${first}/`;
    const limits = options.requestsPerConnection ?? named.perConnection;
    return workloadScript(named, prefix, method, limits, options);
  }
  const usual = { method, path: first, expect: expectationOf(options) };
  if (options.trace === undefined) {
    const items = paths.map((path) => ({ ...usual, path }));
    return pathsScript(items, options.weights, perConnection, options);
  }
  const trace = readTrace(options.trace, usual);
  return 'items' in trace
    ? pathsScript(trace.items, undefined, perConnection, options)
    : traceScript(trace.connections, options);
}

function answerSize(items: Item[]): number {
  const lengths = items.map(({ expect }) => expect.length ?? largestBuffer);
  return Math.min(largestBuffer, lengths.reduce((a, b) => Math.max(a, b), 0) + answerHead);
}

/** Everything that is sent, decided beforehand: the engine only walks it. */
export function makeHttpPlan(options: HttpOptions, script: Script): Plan {
  const { items } = script;
  const texts = heads(script, options);
  const longest = items.reduce(
    (most, _, i) => Math.max(most, (texts.keyOffsets[i + 1] ?? 0) - (texts.keyOffsets[i] ?? 0)),
    0,
  );
  return {
    ...sharedPlan(options),
    ...texts,
    protocol: 'http',
    announceClose: options.announceClose ?? false,
    requestSize: longest + options.body.length,
    answerSize: answerSize(items),
    limits: script.limits,
    ...(script.starts ? { starts: script.starts } : {}),
    sequences: script.sequences,
    answers: Uint32Array.from(items.flatMap((item) => answerOf(item, options.body.length > 0))),
    body: options.body,
    pattern: script.pattern,
  };
}
