import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { z } from 'zod';
import { allowedCpus, parseCpuList } from '../src/base/cpus.js';
import { UserError } from '../src/base/errors.js';
import { openFilesLimit } from './machine.js';
import { lengthOf, parseRate } from './rate.js';
import { parseSizes } from './sizes.js';

/** memcached's own limit is 1 MiB unless it is started with -I. */
export const largestValue = 8 << 20;
export const longestKey = 250;

/** Files that node and the engine have open, generously. */
const filesOfOurOwn = 128;

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/** A number, or the words of one; nothing else that could be taken for it. */
const numberOf = (words: unknown) =>
  typeof words === 'string' && decimal.test(words) ? Number(words) : words;

export const integer = (low: number, high: number) => {
  const message = `must be a whole number from ${low} to ${high}`;
  const whole = z.number({ error: message }).int(message).min(low, message).max(high, message);
  return z.preprocess(numberOf, whole);
};

export const positive = (what: string, most = Number.MAX_VALUE) => {
  const message = `must be ${what}`;
  return z.preprocess(numberOf, z.number({ error: message }).positive(message).max(most, message));
};

const sizes = (smallest: number, largest: number) =>
  z.string().transform((text, context) => {
    const parsed = parseSizes(text);
    const bounds =
      parsed && ('size' in parsed ? [parsed.size] : 'low' in parsed ? [parsed.low, parsed.high] : []);
    if (parsed && bounds?.every((size) => size >= smallest && size <= largest)) return parsed;
    const message = parsed
      ? `must lie within ${smallest} and ${largest} bytes`
      : 'must be fixed:N, uniform:A-B, normal:MU,SIGMA, fb-etc or fb-usr';
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });

const getSet = z.string().transform((text, context) => {
  const match = /^(\d{1,6}):(\d{1,6})$/.exec(text);
  const [get, set] = [Number(match?.[1]), Number(match?.[2])];
  if (match && get + set > 0) return { get, set };
  context.addIssue({ code: 'custom', message: 'must be two whole numbers, not both 0, like 9:1' });
  return z.NEVER;
});

const popularity = z.string().transform((text, context) => {
  const match = /^(?:(uniform)|zipf:(\d+(?:\.\d+)?))$/.exec(text);
  const alpha = Number(match?.[2]);
  if (match?.[1]) return { kind: 'uniform' as const };
  if (alpha > 0 && alpha <= 20) return { kind: 'zipf' as const, alpha };
  context.addIssue({
    code: 'custom',
    message: 'must be uniform, or zipf:ALPHA with ALPHA above 0, up to 20',
  });
  return z.NEVER;
});

/** Requests of a connection; undefined: no limit. */
export const perConnection = z.string().transform((text, context) => {
  if (text === 'unlimited') return undefined;
  const parsed = integer(1, 2 ** 31).safeParse(text);
  if (parsed.success) return parsed.data;
  context.addIssue({ code: 'custom', message: 'must be a whole number from 1, or unlimited' });
  return z.NEVER;
});

/** Of all threads together; as text, or as the number that it is. */
const rate = z.preprocess(
  (given) => (typeof given === 'number' ? String(given) : given),
  z.string().transform((text, context) => {
    const parsed = parseRate(text);
    if (parsed) return parsed;
    const message = 'must be requests a second above 0, or steps like 1000:10s,2000:10s or 1000..50000:1m';
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  }),
);

const cpuList = z.string().transform((text, context) => {
  const allowed = allowedCpus();
  const cpus = parseCpuList(text);
  if (cpus.length > 0 && cpus.every((cpu) => allowed.includes(cpu))) return cpus;
  const message = `must be a list of CPUs like 0,2-3; this process may use ${allowed.join(',')}`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

/** What every load generator has, whatever it speaks. */
export const commonOptions = {
  threads: integer(1, 1024).optional(),
  cpus: cpuList.optional(),
  concurrency: integer(1, 1_000_000),
  close: z.enum(['rst', 'fin'], { error: 'must be rst or fin' }),
  duration: positive('a number of seconds above 0').optional(),
  requests: integer(1, 2 ** 48).optional(),
  warmup: z
    .preprocess(numberOf, z.number({ error: 'must be a number of seconds' }).min(0, 'must not be negative'))
    .optional(),
  pipeline: integer(1, 4096),
  rate: rate.optional(),
  arrival: z.enum(['constant', 'poisson'], { error: 'must be constant or poisson' }),
  engine: z.enum(['auto', 'kernel', 'uring', 'epoll'], { error: 'must be auto, kernel, uring or epoll' }),
  batch: integer(1, 4096),
  timeout: positive('a number of seconds above 0'),
  seed: integer(0, 2 ** 31 - 1),
  /** Which part of a load this is, where several machines share it; not on the command line. */
  part: integer(0, 1023).optional(),
  verify: z.boolean(),
};

const memcached = z.object({
  ...commonOptions,
  server: z.string(),
  requestsPerConnection: perConnection,
  getSet,
  keySize: sizes(1, longestKey),
  valueSize: sizes(0, largestValue),
  keys: integer(1, 10_000_000),
  popularity,
  multiget: integer(1, 10_000),
  protocol: z.enum(['ascii', 'binary'], { error: 'must be ascii or binary' }),
  prefill: z.boolean(),
});

/** What `megapipe load memcached` understands. */
export const memcachedOptionNames = Object.keys(memcached.shape);

export type Address = { path: string } | { host: string; port: number };

type CheckedCommon = z.output<z.ZodObject<typeof commonOptions>>;

/** What was left open, decided. */
export type Decided = { threads: number; cpus: number[]; warmup: number; duration: number | undefined };

/** The options that every load generator has, with everything decided. */
export type CommonOptions = Omit<CheckedCommon, keyof Decided> & Decided;

export type MemcachedOptions = Omit<z.output<typeof memcached>, keyof Decided> &
  Decided & { address: Address };

/** As on the command line: requestsPerConnection is --requests-per-connection. */
export function optionName(path: PropertyKey[]): string {
  return `--${String(path[0]).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Something was asked for wrongly. */
export function usage(message: string, command: string): UserError {
  return new UserError(message, { hint: `see megapipe load ${command} --help`, exitCode: 2 });
}

/** A host's address. */
export async function resolve(host: string, option: string): Promise<string> {
  if (isIP(host)) return host;
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    throw new UserError(`${option}: no address found for ${host}`, { cause });
  }
}

/** A UNIX socket's address; undefined: sun_path has no room for it. */
export function unixAddress(path: string): Address | undefined {
  return path === '' || Buffer.byteLength(path) > 107 ? undefined : { path };
}

/** HOST:PORT, [IPV6]:PORT or unix:PATH. */
export async function parseServer(text: string, command: string): Promise<Address> {
  if (text.startsWith('unix:')) {
    const address = unixAddress(text.slice('unix:'.length));
    if (!address) throw usage('--server: unix: needs a path of 1 to 107 bytes', command);
    return address;
  }
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (!host || !(port >= 1 && port <= 65535)) {
    const message = `--server must be HOST:PORT, [IPV6]:PORT or unix:PATH, not ${JSON.stringify(text)}`;
    throw usage(message, command);
  }
  return { host: await resolve(host, '--server'), port };
}

/** Options as a schema has them. Throws a UserError that names what is wrong. */
export function checkOptions<Schema extends z.ZodType>(
  schema: Schema,
  options: unknown,
  command: string,
): z.output<Schema> {
  const result = schema.safeParse(options);
  if (result.success) return result.data;
  const given = options as Record<PropertyKey, unknown>;
  const complaints = result.error.issues.map(
    ({ path, message }) => `${optionName(path)} ${message}, not ${JSON.stringify(given[path[0] ?? ''])}`,
  );
  throw usage(complaints.join('; '), command);
}

function checkTogether(options: CheckedCommon, threads: number, command: string) {
  const { duration, requests, concurrency } = options;
  if (duration !== undefined && requests !== undefined)
    throw usage('give --duration or --requests, not both', command);
  if (options.rate && 'steps' in options.rate && (duration ?? requests) !== undefined)
    throw usage('the steps of --rate say how long it takes: give no --duration or --requests', command);
  if (threads > concurrency) {
    const message = `--threads ${threads} need at least as many connections; --concurrency is ${concurrency}`;
    throw usage(message, command);
  }
  const files = openFilesLimit() - filesOfOurOwn;
  if (concurrency > files) {
    const message = `--concurrency ${concurrency} is above the limit on open files; ulimit -Hn leaves ${files}`;
    throw usage(message, command);
  }
}

/** Decide what was left open. */
export function decide(options: CheckedCommon, command: string): Decided {
  const cpus = options.cpus ?? allowedCpus();
  const threads = options.threads ?? Math.min(cpus.length, options.concurrency);
  checkTogether(options, threads, command);
  const byCount = options.requests !== undefined;
  return {
    cpus,
    threads,
    duration: byCount ? undefined : (options.duration ?? (options.rate && lengthOf(options.rate)) ?? 10),
    warmup: options.warmup ?? (byCount ? 0 : 1),
  };
}

/** Check the command line's options, and decide what was left open. Throws a UserError that names what is wrong. */
export async function memcachedOptions(given: unknown): Promise<MemcachedOptions> {
  const checked = checkOptions(memcached, given, 'memcached');
  const decided = decide(checked, 'memcached');
  if (checked.multiget > 1 && checked.getSet.get === 0)
    throw usage('--multiget needs gets in --get-set', 'memcached');
  return { ...checked, ...decided, address: await parseServer(checked.server, 'memcached') };
}
