import type { Content } from './given-content.js';
import { makeHttpPlan, makeScript } from './http.js';
import { type HttpOptions, httpContent, httpOptionNames, httpOptions } from './http-options.js';
import { type HttpResult, httpResult, httpResultSchema, mergeHttpResults } from './http-result.js';
import type { Script } from './http-script.js';
import { shareTrace } from './http-trace.js';
import type { Load } from './load.js';
import { usage } from './options.js';
import type { Protocol } from './protocol.js';
import type { Given } from './result.js';
import { httpTable } from './table.js';

/** A trace of connections is replayed once, unless it is said how long. */
function replayed(options: HttpOptions, given: Given, script: Script): HttpOptions & { once: boolean } {
  if (!script.starts) return { ...options, once: false };
  if (options.requestsPerConnection)
    throw usage('--requests-per-connection is in the trace: it has a column connection', 'http');
  if (given.duration !== undefined || given.requests !== undefined) return { ...options, once: false };
  if (given.warmup !== undefined && options.warmup > 0)
    throw usage('--warmup with --trace needs --duration or --requests', 'http');
  const requests = script.limits.reduce((a, b) => a + b, 0);
  return { ...options, requests, duration: undefined, warmup: 0, once: true };
}

/** A load of an HTTP server, from the command line's options. */
async function httpLoad(given: Given, content: Content): Promise<Load<HttpResult>> {
  const asked = await httpOptions(given, content);
  const script = makeScript(asked);
  const { once, ...options } = replayed(asked, given, script);
  return {
    options,
    given,
    plan: { ...makeHttpPlan(options, script), once },
    target: `HTTP server at ${options.unix ?? options.host}`,
    result: (outcome, series) => httpResult(options, given, outcome, series),
    table: httpTable,
  };
}

/** All send the same body; each connection of a trace is one part's. */
function share({ body, trace }: Content, parts: number): Content[] {
  const traces = trace && shareTrace(trace, parts);
  return Array.from({ length: parts }, (_, part) => ({
    ...(body ? { body } : {}),
    ...(traces?.[part] ? { trace: traces[part] } : {}),
  }));
}

/** `megapipe load http`. */
export const httpProtocol: Protocol<HttpResult> = {
  name: 'http',
  options: httpOptionNames,
  content: httpContent,
  load: httpLoad,
  partOf: (given) => given,
  share,
  result: httpResultSchema,
  merge: mergeHttpResults,
  table: httpTable,
};
