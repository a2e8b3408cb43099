import { cpusBetween } from '../host/cpu-time.js';
import type { Channels, Point, SampleRecord, TopologyRecord, Variant } from '../results/schema.js';
import type { Application, ChannelsKind, Identity, Load } from './application/application.js';
import { baseline, fineGrained, megapipe, moderated, twinOf } from './application/variant.js';
import type { Loaders } from './loaders.js';
import { cpusOf, isDisturbed, othersShare } from './others-share.js';
import { type RunningServer, type ServerContext, startServer } from './server.js';
import { countEvents, type TraceCounter } from './trace.js';
import { checkProcesses, cpuTimesBetween, type Reading, watchWindow } from './window.js';

/** One sample to take: one point of one variant, once. */
export type SampleOrder = {
  variant: Variant;
  point: Point;
  round: number;
  kind: 'timed' | 'traced';
  attempt: number;
  /** What the loads of one round have in common: variants are compared under the same load. */
  seed: number;
  durationMs: number;
  warmupMs: number;
};

/** Which server, where, and who loads it. */
type SampleContext = ServerContext & { loaders: Loaders };

/** For storing the values before the window and ending after it; a generator that takes longer hangs. */
const patienceMs = 90_000;

type OkPart = Pick<
  Extract<SampleRecord, { status: 'ok' }>,
  'measured' | 'disturbed' | 'channels' | 'systemCalls' | 'remoteWakeUps'
>;

/** Take a sample with a server and a client of its own. What goes wrong in it makes a failed sample, not an exception. */
export async function takeSample(order: SampleOrder, context: SampleContext): Promise<SampleRecord> {
  const head = {
    type: 'sample' as const,
    startedAt: new Date().toISOString(),
    topology: context.topology.record.name,
    variant: order.variant,
    point: order.point,
    round: order.round,
    kind: order.kind,
    attempt: order.attempt,
  };
  try {
    return { ...head, status: 'ok', ...(await measure(order, context)) };
  } catch (error) {
    context.signal.throwIfAborted();
    return { ...head, status: 'failed', reason: (error as Error).message };
  }
}

async function measure(order: SampleOrder, context: SampleContext): Promise<OkPart> {
  const variant = twinOf(order.variant);
  const server = await startServer(context, variant, order.point);
  try {
    checkIdentity(variant, await server.identify());
    return await traced(server, order, context);
  } catch (error) {
    throw new Error(server.explain(error as Error), { cause: error });
  } finally {
    await server.stop();
  }
}

async function traced(server: RunningServer, order: SampleOrder, context: SampleContext): Promise<OkPart> {
  const counter = order.kind === 'traced' ? countEvents(server.processes.map(({ pid }) => pid)) : undefined;
  try {
    return await loadServer(server, order, context, counter);
  } finally {
    counter?.abandon();
  }
}

async function loadServer(
  server: RunningServer,
  order: SampleOrder,
  { application, topology, loaders, signal }: SampleContext,
  counter: TraceCounter | undefined,
): Promise<OkPart> {
  const words = application.loadWords(loadOf(server, order, threadsOf(topology.record)));
  const { onWindow, readings } = watchWindow({ server, loaders, counter });
  const timeoutMs = order.warmupMs + order.durationMs + patienceMs;
  const output = await loaders.load({ words, onWindow, timeoutMs });
  signal.throwIfAborted();
  const part = evaluate(application, topology.record, output, await readings());
  checkProcesses(server);
  return part;
}

function threadsOf({ clients }: TopologyRecord): number {
  return clients.reduce((sum, { threads }) => sum + threads, 0);
}

function loadOf(server: RunningServer, order: SampleOrder, threads: number): Load {
  return {
    address: server.address,
    port: server.port,
    threads,
    point: order.point,
    durationMs: order.durationMs,
    warmupMs: order.warmupMs,
    seed: order.seed,
  };
}

/** From the readings at the window's ends and what the generator says. */
function evaluate(
  application: Application,
  topology: TopologyRecord,
  output: string,
  [begin, end]: Reading[],
): OkPart {
  if (!begin || !end)
    throw new Error('the load generator did not announce both ends of its measuring window');
  const { measured, faults } = application.readLoad(output);
  if (faults.length > 0 || !measured) throw new Error(faults.join('; '));
  const use = useBetween(begin, end, topology);
  return {
    measured: { ...measured, ...use },
    disturbed: isDisturbed(use.othersShare),
    channels: channelsBetween(begin.channels, end.channels),
    systemCalls: end.traced?.systemCalls ?? null,
    remoteWakeUps: end.traced?.remoteWakeUps ?? null,
  };
}

/** Who had the CPUs. */
function useBetween(begin: Reading, end: Reading, topology: TopologyRecord) {
  const sampledUs = end.atUs - begin.atUs;
  const times = cpuTimesBetween(begin, end);
  const spent = cpusBetween(begin.cpus, end.cpus);
  const oursUs = times.serverCpuUs + times.clientCpuUs;
  const share = othersShare({ spent, since: begin.cpus, sampledUs, oursUs, cpus: cpusOf(topology) });
  return { sampledUs, ...times, cpus: spent, othersShare: share };
}

/** What is measured must be what was asked for. */
export function checkIdentity(variant: Variant, identity: Identity): void {
  const onChannels = identity !== null && 'engine' in identity;
  if (variant.server === 'baseline') {
    if (onChannels) throw new Error(`the server ran on channels, not as ${variant.id}`);
    // Who can't tell which way of stock I/O, has the usual locks still.
    const ran = identity?.stock ?? (variant.fineGrainedLocks ? baseline.id : variant.id);
    if (ran === variant.id) return;
    throw new Error(`the server ran as ${ran}, not as ${variant.id}`);
  }
  const ran = onChannels ? variantOf(identity) : { id: identity?.stock ?? baseline.id, batch: null };
  if (ran.id === variant.id && ran.batch === variant.batch) return;
  throw new Error(
    `the server ran as ${ran.id} (batch ${ran.batch}), not as ${variant.id} (batch ${variant.batch})`,
  );
}

type OnChannels = Extract<Identity, ChannelsKind>;

function variantOf({ engine, techniques, batch, moderationUs, fineGrainedLocks }: OnChannels): Variant {
  const plain = megapipe(engine, techniques, batch);
  const waiting = moderationUs > 0 ? moderated(plain, moderationUs) : plain;
  return fineGrainedLocks ? fineGrained(waiting) : waiting;
}

function channelsBetween(before: Channels | null, after: Channels | null): Channels | null {
  if (!before || !after) return null;
  return {
    ...after,
    operations: after.operations - before.operations,
    crossings: after.crossings - before.crossings,
  };
}
