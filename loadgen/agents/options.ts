import { z } from 'zod';
import { UserError } from '../../src/base/errors.js';
import { checkOptions, commonOptions, integer, optionName, positive, usage } from '../options.js';
import type { Given } from '../result.js';
import { parseAllowed } from './limits.js';
import { longestSilenceMs } from './protocol.js';

const session = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -');
const nats = z.string();

const count = integer(1, 1024);

const agents = z.string().transform((text, context) => {
  const parsed = count.safeParse(text);
  if (text === 'all' || parsed.success) return text === 'all' ? ('all' as const) : (parsed.data as number);
  context.addIssue({ code: 'custom', message: 'must be a whole number from 1 to 1024, or all' });
  return z.NEVER;
});

const seconds = positive('a number of seconds above 0');

const conductor = z.object({
  agents,
  nats,
  session: session.default('default'),
  insecure: z.boolean().default(false),
  agentsWithin: seconds.default(5),
  silence: positive('a number of seconds above 0, up to 3600', longestSilenceMs / 1000).default(15),
  clockBound: positive('a number of milliseconds above 0').default(50),
  concurrency: commonOptions.concurrency,
  threads: commonOptions.threads,
  rate: commonOptions.rate,
  requests: commonOptions.requests,
  duration: commonOptions.duration,
  warmup: commonOptions.warmup,
  timeout: commonOptions.timeout,
});

/** How to conduct a load, and what of it is split. */
export type ConductorOptions = z.output<typeof conductor>;

/** What only the conductor is told. */
const ours = ['agents', 'nats', 'session', 'insecure', 'agentsWithin', 'silence', 'clockBound'] as const;

/** Whether agents are to carry a load out. Throws where that is said by halves. */
export function isConducted(given: Given, command: string): boolean {
  if (given.agents !== undefined) return true;
  const lone = ours.slice(1).find((name) => given[name] !== undefined);
  if (lone) throw usage(`--${lone.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} is for --agents`, command);
  return false;
}

/** Check what the conductor needs; the rest is checked by the agents. Throws a UserError that names what is wrong. */
export function conductorOptions(given: Given, command: string): ConductorOptions {
  if (given.nats === undefined) throw usage('--agents needs --nats nats://HOST:PORT', command);
  return checkOptions(conductor, given, command);
}

/** The options that the agents are told, before they are split. */
export function forAgents(given: Given, { options }: { options: readonly string[] }): Given {
  return Object.fromEntries(Object.entries(given).filter(([name]) => options.includes(name)));
}

const allowed = z.string().transform((text, context) => {
  const parsed = parseAllowed(text);
  if (parsed) return parsed;
  const message = 'must be like 10.0.0.0/8, 10.0.0.0/8:11211, [fd00::]/8:80 or unix:/PATH';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const agent = z.object({
  nats,
  session: session.default('default'),
  name: z
    .string()
    .regex(/^[\w.:-]{1,64}$/, 'must be 1 to 64 letters, digits, or any of _.:-')
    .optional(),
  allow: z.array(allowed).default([]),
  maxRate: positive('a number of requests a second above 0').optional(),
  user: z
    .string()
    .regex(/^[A-Za-z_][\w.-]{0,31}$/, 'must be the name of a user')
    .optional(),
  insecure: z.boolean().default(false),
});

export type AgentOptions = z.output<typeof agent>;

/** What is at a path of an option: one of several values, where it may be given again. */
function at(given: Given, [name, index]: PropertyKey[]): unknown {
  const value = given[String(name)];
  return Array.isArray(value) && typeof index === 'number' ? value[index] : value;
}

/** Check the options of `megapipe agent`. */
export function agentOptions(given: Given): AgentOptions {
  const checked = agent.safeParse(given);
  if (checked.success) return checked.data;
  const complaints = checked.error.issues.map(
    ({ path, message }) => `${optionName(path)} ${message}, not ${JSON.stringify(at(given, path))}`,
  );
  throw new UserError(complaints.join('; '), { hint: 'see megapipe agent --help', exitCode: 2 });
}
