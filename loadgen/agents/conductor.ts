import { UserError } from '../../src/base/errors.js';
import type { Content } from '../given-content.js';
import { isEncodedHistogram } from '../latency.js';
import { withProgress } from '../load.js';
import type { Together } from '../merge.js';
import { openOutputFiles } from '../output-files.js';
import type { Progress } from '../progress.js';
import type { Protocol } from '../protocol.js';
import type { AgentPart, CommonResult, Counted, Given } from '../result.js';
import { type Crew, gather, prepare, start, untilOver, withCrew } from './crew.js';
import { type Connection, checkSecrecy, connectTo } from './nats.js';
import { type ConductorOptions, conductorOptions } from './options.js';
import type { Part } from './parts.js';
import { mergeSeries } from './series.js';
import { splitOptions } from './split.js';
import { showParts } from './telling.js';
import { commonWindow, windowOf } from './window.js';

type AnyResult = CommonResult & Counted;

/** How often it is tried to reach a NATS server again that went away. */
const reconnects = 10;

/** `megapipe load … --agents`: have agents carry a load out together, and print it as one. */
export async function conduct<Result extends AnyResult>(
  protocol: Protocol<Result>,
  given: Given,
): Promise<void> {
  const options = conductorOptions(given, protocol.name);
  const content = protocol.content(given);
  const files = openOutputFiles(given);
  checkSecrecy(options.nats, options.insecure);
  const nats = await connectTo(options.nats, reconnects);
  try {
    const result = await withProgress(given, (signal, progress) =>
      carryOut({ protocol, given, content, options, nats, signal, progress }),
    );
    files.write(result);
    console.log(given.json ? JSON.stringify(result) : protocol.table(result));
    complain(result.agents ?? []);
  } finally {
    await nats.close();
  }
}

type Job<Result extends AnyResult> = {
  protocol: Protocol<Result>;
  given: Given;
  content: Content;
  options: ConductorOptions;
  nats: Connection;
  signal: AbortSignal;
  progress: Progress;
};

async function carryOut<Result extends AnyResult>(job: Job<Result>): Promise<Result> {
  const { protocol, given, content, options, nats, signal, progress } = job;
  progress.stage('looking for agents');
  const members = await gather(nats, options, signal);
  const orders = splitOptions(protocol, { given, content }, options, members.length);
  return withCrew(nats, options, members, async (crew) => {
    showParts(crew.parts, progress, Boolean(given.events));
    progress.stage(`${members.length} agents prepare`);
    await prepare(crew, protocol.name, orders, signal);
    await start(crew);
    await untilOver(crew, content.trace !== undefined, signal);
    return merge(crew, job);
  });
}

function merge<Result extends AnyResult>(
  { parts: { all } }: Crew,
  { protocol, given, signal }: Job<Result>,
): Result {
  const results = all.flatMap((part) => resultOf(part, protocol));
  const whole = all.filter(({ state }) => state === 'done');
  if (results.length === 0) throw nothing(all);
  for (const part of whole) tellLostIntervals(part);
  const together: Together = {
    config: { protocol: protocol.name, ...given, nats: undefined, agents: all.length },
    interrupted: signal.aborted,
    window: commonWindow(whole),
    series: mergeSeries(whole.map(({ intervals }) => intervals)),
    agents: all.map((part) => agentPart(part, results[whole.indexOf(part)])),
    names: whole.map(({ agent }) => agent.name),
  };
  return protocol.merge(results, together);
}

/** Where a connection broke, what was said meanwhile may be lost; the result itself is whole. */
function tellLostIntervals({ agent, intervals, result }: Part): void {
  const lost = (result?.intervals ?? 0) - intervals.filter(({ phase }) => phase !== 'warmup').length;
  if (lost > 0)
    console.error(`megapipe: ${lost} intervals of the series of agent ${agent.name} were lost on the way`);
}

type Encoded = { histogram?: Record<string, string> };

/** What a part's agent said it measured; where that is no result of this protocol, the part is lost. */
function resultOf<Result extends AnyResult>(part: Part, protocol: Protocol<Result>): Result[] {
  if (!part.result) return [];
  const parsed = protocol.result.safeParse({ ...part.result.result, series: [] });
  const histograms = Object.values((parsed.data as Encoded | undefined)?.histogram ?? {});
  if (parsed.success && histograms.every(isEncodedHistogram)) return [parsed.data];
  const why = parsed.error?.issues[0]?.message ?? 'a histogram is none';
  const message = `its result can't be understood: ${why}`;
  Object.assign(part, { state: 'missing', loss: { message, exitCode: 1 } });
  return [];
}

function agentPart(part: Part, result: AnyResult | undefined): AgentPart {
  const { agent, clock, lateMs, loss } = part;
  const window = windowOf(part);
  const who = { name: agent.name, host: agent.host, version: agent.version, clock };
  const late = lateMs === undefined ? {} : { lateMs };
  if (!result || !window) return { ...who, ...late, missing: loss?.message ?? 'it has no result' };
  const wall = (ms: number) => new Date(ms).toISOString();
  return {
    ...who,
    ...late,
    missing: null,
    window: {
      start: wall(window.beganMs),
      end: wall(window.endedMs),
      seconds: (window.endedMs - window.beganMs) / 1000,
    },
    requests: result.requests.total,
    errors: Object.values(result.errors).reduce((a, b) => a + b, 0),
  };
}

/** Nobody has a result: the reasons, each once. */
function nothing(all: Part[]): UserError {
  const [first] = all;
  const reasons = [...new Set(all.map(({ loss }) => loss?.message ?? 'no result'))];
  const hint = first?.loss?.hint;
  return new UserError(`no agent measured anything: ${reasons.join('; ')}`, {
    ...(hint === undefined ? {} : { hint }),
    exitCode: first?.loss?.exitCode ?? 1,
  });
}

/** Throws where parts are missing. */
function complain(agents: AgentPart[]): void {
  const missing = agents.filter((agent) => agent.missing !== null);
  if (missing.length === 0) return;
  const them = missing.map(({ name, missing: why }) => `${name} (${why})`).join(', ');
  const verb = missing.length === 1 ? 'the part of 1' : `the parts of ${missing.length}`;
  throw new UserError(
    `${verb} of ${agents.length} agents ${missing.length === 1 ? 'is' : 'are'} missing: ${them}`,
    {
      hint: 'the result is of the others alone',
    },
  );
}
