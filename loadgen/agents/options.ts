import { z } from 'zod';
import { UserError } from '../../src/errors.js';
import { checkOptions, commonOptions, integer, positive, usage } from '../options.js';
import type { Given } from '../result.js';

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
  agentsWithin: seconds.default(5),
  silence: seconds.default(15),
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
const ours = [
  'agents',
  'nats',
  'session',
  'agentsWithin',
  'silence',
  'clockBound',
  'json',
  'events',
] as const;

/** Whether agents are to carry a load out. Throws where that is said by halves. */
export function isConducted(given: Given, command: string): boolean {
  if (given.agents !== undefined) return true;
  const lone = ours.slice(1, 6).find((name) => given[name] !== undefined);
  if (lone) throw usage(`--${lone.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} is for --agents`, command);
  return false;
}

/** Check what the conductor needs; the rest is checked by the agents. Throws a UserError that names what is wrong. */
export function conductorOptions(given: Given, command: string): ConductorOptions {
  if (given.nats === undefined) throw usage('--agents needs --nats nats://HOST:PORT', command);
  return checkOptions(conductor, given, command);
}

/** The options that the agents are told, before they are split. */
export function forAgents(given: Given): Given {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !ours.some((own) => own === name)));
}

const agent = z.object({
  nats,
  session: session.default('default'),
  name: z
    .string()
    .regex(/^[\w.:-]{1,64}$/, 'must be 1 to 64 letters, digits, or any of _.:-')
    .optional(),
});

export type AgentOptions = z.output<typeof agent>;

/** Check the options of `megapipe agent`. */
export function agentOptions(given: Given): AgentOptions {
  const checked = agent.safeParse(given);
  if (checked.success) return checked.data;
  const complaints = checked.error.issues.map(
    ({ path, message }) => `--${String(path[0])} ${message}, not ${JSON.stringify(given[String(path[0])])}`,
  );
  throw new UserError(complaints.join('; '), { hint: 'see megapipe agent --help', exitCode: 2 });
}
