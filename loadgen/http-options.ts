import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { UserError } from '../src/base/errors.js';
import { type Content, noContent } from './given-content.js';
import {
  type Address,
  checkOptions,
  commonOptions,
  type Decided,
  decide,
  integer,
  resolve,
  unixAddress,
  usage,
} from './options.js';
import { type PerConnection, parsePerConnection } from './per-connection.js';
import type { Given } from './result.js';
import { type WorkloadName, workload, workloadNames } from './workloads.js';

const isWorkload = (text: string): text is WorkloadName =>
  (workloadNames as readonly string[]).includes(text);

const perConnection = z.string().transform((text, context): PerConnection => {
  const parsed = isWorkload(text) ? workload(text).perConnection : parsePerConnection(text);
  if (parsed) return parsed;
  const message =
    'must be a whole number from 1, unlimited, uniform:A-B, zipf:S,MAX, zipf:Q,S,MAX, histogram:N=WEIGHT,… or the name of a workload';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const weights = z.string().transform((text, context) => {
  const list = text.split(',').map((cell) => (/^\d+(?:\.\d+)?$/.test(cell) ? Number(cell) : Number.NaN));
  if (list.every((weight) => weight > 0 && weight < 1e9)) return list;
  context.addIssue({ code: 'custom', message: 'must be numbers above 0, like 3,1' });
  return z.NEVER;
});

const header = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*$/, 'must be a header like "Accept: text/html"')
  .refine(
    (text) => !/^(?:content-length|transfer-encoding)\s*:/i.test(text),
    'must leave the length to --body',
  );

const http = z.object({
  ...commonOptions,
  urls: z.array(z.string()).min(1),
  unix: z.string().optional(),
  requestsPerConnection: perConnection.optional(),
  announceClose: z.boolean().optional(),
  method: z
    .string()
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/, 'must be a method like GET')
    .refine((method) => method !== 'CONNECT', 'must not be CONNECT: what follows is not HTTP')
    .optional(),
  header: z.array(header),
  weights: weights.optional(),
  workload: z.enum(workloadNames, { error: `must be ${workloadNames.join(', ')}` }).optional(),
  expectStatus: integer(100, 599).optional(),
  expectLength: integer(0, 2 ** 32 - 2).optional(),
  expectCrc32: z
    .string()
    .regex(/^[0-9a-fA-F]{8}$/, 'must be eight hexadecimal digits')
    .transform((digits) => Number.parseInt(digits, 16))
    .optional(),
});

/** What it understands beside its content. */
export const httpOptionNames = Object.keys(http.shape);

const files = z.object({
  body: z.string().optional(),
  bodyFile: z.string().optional(),
  trace: z.string().optional(),
});

type Checked = z.output<typeof http>;

export type HttpOptions = Omit<Checked, keyof Decided | 'method'> &
  Decided & {
    address: Address;
    /** For messages and the Host header. */
    host: string;
    paths: string[];
    method: string;
    body: Uint8Array;
    trace: Uint8Array | undefined;
  };

const command = 'http';

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || url.hostname === '')
    throw usage(`${JSON.stringify(text)} is not a URL like http://host:port/path`, command);
  if (url.protocol !== 'http:')
    throw usage(`${text}: only http:// is spoken, not ${url.protocol}//`, command);
  if (url.username || url.password)
    throw usage(`${text}: a name and a password go into --header "Authorization: …"`, command);
  return url;
}

function oneHost(urls: URL[]): URL {
  const first = urls[0] as URL;
  const other = urls.find(({ host }) => host !== first.host);
  if (other) throw usage(`all URLs must be of one server, not of ${first.host} and ${other.host}`, command);
  return first;
}

async function addressOf({ unix }: Checked, url: URL): Promise<Address> {
  if (unix !== undefined) {
    const address = unixAddress(unix);
    if (!address) throw usage('--unix needs a path of 1 to 107 bytes', command);
    return address;
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return { host: await resolve(host, url.href), port: Number(url.port || 80) };
}

function readFile(path: string, option: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new UserError(`${option}: ${(cause as Error).message}`, { cause, exitCode: 2 });
  }
}

/** The body and the trace that options hold or name. */
export function httpContent(given: Given): Content {
  const { body, bodyFile, trace } = checkOptions(files, given, command);
  if (body !== undefined && bodyFile !== undefined)
    throw usage('give --body or --body-file, not both', command);
  if (given.workload !== undefined && trace !== undefined)
    throw usage('give --workload or --trace, not both', command);
  return {
    ...(body === undefined ? {} : { body: Buffer.from(body) }),
    ...(bodyFile === undefined ? {} : { body: readFile(bodyFile, '--body-file') }),
    ...(trace === undefined ? {} : { trace: readFile(trace, '--trace') }),
  };
}

const bodiless = ['GET', 'HEAD'];

/** Does a request of this method carry the body? */
export const carriesBody = (method: string) => !bodiless.includes(method);

function checkWhat({ workload, weights, urls, method }: Checked, { body, trace }: Content) {
  if (body && method && !carriesBody(method)) throw usage(`--method ${method} has no body`, command);
  const base = workload ? '--workload' : trace ? '--trace' : undefined;
  if (workload && trace) throw usage('give --workload or --trace, not both', command);
  if (base && urls.length > 1) throw usage(`${base} needs one URL, below which its paths are`, command);
  if (base && weights) throw usage(`--weights are for several URLs, not for ${base}`, command);
  if (weights && weights.length !== urls.length)
    throw usage(`--weights must be ${urls.length}, one a URL, not ${weights.length}`, command);
  if (workload && method && carriesBody(method))
    throw usage('--workload needs --method GET or HEAD', command);
}

/** Check the command line's options, and decide what was left open. Throws a UserError that names what is wrong. */
export async function httpOptions(given: unknown, content: Content = noContent): Promise<HttpOptions> {
  const checked = checkOptions(http, given, command);
  checkWhat(checked, content);
  const urls = checked.urls.map(parseUrl);
  const first = oneHost(urls);
  const { body, trace } = content;
  return {
    ...checked,
    ...decide(checked, command),
    address: await addressOf(checked, first),
    host: first.host,
    paths: urls.map(({ pathname, search }) => `${pathname}${search}`),
    method: checked.method ?? (body === undefined ? 'GET' : 'POST'),
    body: body ?? new Uint8Array(0),
    trace,
  };
}
