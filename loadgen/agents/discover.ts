import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../../src/base/errors.js';
import { askAll, type Connection, read } from './nats.js';
import type { ConductorOptions } from './options.js';
import { type Hello, hello, protocolVersion, subjects } from './protocol.js';
import { kitVersion } from './version.js';

const againMs = 250;

const isOurVersion = ({ protocol, version }: Hello) => protocol === protocolVersion && version === kitVersion;
const isFit = (agent: Hello) => isOurVersion(agent) && !agent.busy;

/** Find as many agents as are wanted, or all that answer in time. Throws where there are too few. */
export async function discover(
  nats: Connection,
  { agents: wanted, session, agentsWithin }: ConductorOptions,
  signal: AbortSignal,
): Promise<Hello[]> {
  const found = new Map<string, Hello>();
  const asking = askAll(nats, subjects.hello(session), (message) => {
    const one = read(hello, message);
    if (one) found.set(one.id, one);
  });
  const isEnough = () => wanted !== 'all' && [...found.values()].filter(isFit).length >= wanted;
  const deadline = performance.now() + agentsWithin * 1000;
  try {
    while (!isEnough() && performance.now() < deadline && !signal.aborted) {
      asking.again();
      await sleep(againMs);
    }
  } finally {
    asking.stop();
  }
  if (signal.aborted) throw interrupted();
  const all = [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return choose(all, wanted, session);
}

/** Ctrl-C came before there was anything to print. */
export function interrupted(): UserError {
  return new UserError('interrupted before anything was measured');
}

function choose(all: Hello[], wanted: number | 'all', session: string): Hello[] {
  const fit = all.filter(isFit);
  const others = all.filter((agent) => !isOurVersion(agent));
  const isTooFew = wanted === 'all' ? fit.length === 0 || others.length > 0 : fit.length < wanted;
  if (isTooFew && others.length > 0) throw otherVersion(others);
  if (isTooFew) throw tooFew(all, fit.length, wanted, session);
  const chosen = wanted === 'all' ? fit : fit.slice(0, wanted);
  const twice = chosen.find(({ name }, i) => chosen.some((other, j) => j > i && other.name === name));
  if (!twice) return chosen;
  throw new UserError(`two agents are called ${twice.name}`, { hint: 'start one with another --name' });
}

function otherVersion(others: Hello[]): UserError {
  const them = others
    .map(({ name, version, protocol }) => `${name} (${version}, protocol ${protocol})`)
    .join(', ');
  return new UserError(
    `agents of another version than ours (${kitVersion}, protocol ${protocolVersion}) answer: ${them}`,
    { hint: 'have the same MegaPipe kit on all machines' },
  );
}

function tooFew(all: Hello[], fit: number, wanted: number | 'all', session: string): UserError {
  const count = (n: number, of: string) => `${n === 0 ? 'no' : n} ${of}${n === 1 ? '' : 's'}`;
  const busy = all.filter((agent) => agent.busy).map(({ name }) => name);
  const working = busy.length === 0 ? '' : `, and others work for somebody else: ${busy.join(', ')}`;
  const needed = wanted === 'all' ? '' : `, and ${wanted} are wanted`;
  const answers = fit === 1 ? 'answers' : 'answer';
  return new UserError(`${count(fit, 'free agent')} ${answers} in session ${session}${needed}${working}`, {
    hint: 'start them: megapipe agent --nats URL; --agents-within waits longer',
  });
}
