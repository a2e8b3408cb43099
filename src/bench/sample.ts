import type { Channels, RequestsPerConnection, SampleRecord, Variant } from '../results.js';
import type { Topology } from '../topology.js';
import type { Application, Load } from './application.js';
import { cpusBetween } from './cpu-time.js';
import { type Child, startChild } from './process.js';
import { type RunningServer, startServer } from './server.js';
import { countSystemCalls, type SystemCallCounter } from './trace.js';
import { baseline, megapipe } from './variant.js';
import { type Reading, watchWindow } from './window.js';

/** One sample to take: one point of one variant, once. */
export type SampleOrder = {
  variant: Variant;
  requestsPerConnection: RequestsPerConnection;
  round: number;
  kind: 'timed' | 'traced';
  durationMs: number;
  warmupMs: number;
};

/** For storing the values before the window and ending after it; a generator that takes longer hangs. */
const patienceMs = 30_000;

export type SampleContext = { application: Application; topology: Topology; signal: AbortSignal };

type OkPart = Pick<Extract<SampleRecord, { status: 'ok' }>, 'measured' | 'channels' | 'systemCalls'>;

/** Take a sample with a server and a client of its own. What goes wrong in it makes a failed sample, not an exception. */
export async function takeSample(order: SampleOrder, context: SampleContext): Promise<SampleRecord> {
  const head = {
    type: 'sample' as const,
    startedAt: new Date().toISOString(),
    topology: context.topology.record.name,
    variant: order.variant,
    requestsPerConnection: order.requestsPerConnection,
    round: order.round,
    kind: order.kind,
  };
  try {
    return { ...head, status: 'ok', ...(await measure(order, context)) };
  } catch (error) {
    context.signal.throwIfAborted();
    return { ...head, status: 'failed', reason: (error as Error).message };
  }
}

async function measure(order: SampleOrder, context: SampleContext): Promise<OkPart> {
  const server = await startServer(context.application, order.variant, context.topology, context.signal);
  const counter = order.kind === 'traced' ? countSystemCalls(server.pid) : undefined;
  let part: OkPart;
  try {
    part = await loadServer(server, order, context, counter);
  } finally {
    counter?.abandon();
    await server.stop();
  }
  checkChannels(order.variant, part.channels);
  return part;
}

async function loadServer(
  server: RunningServer,
  order: SampleOrder,
  { application, topology, signal }: SampleContext,
  counter: SystemCallCounter | undefined,
): Promise<OkPart> {
  const command = topology.onClient(application.loadCommand(loadOf(server, order, topology)));
  const client = startChild(command, signal, order.warmupMs + order.durationMs + patienceMs);
  try {
    const window = await watchWindow(client, { server, application, counter });
    return evaluate(application, await client, window);
  } finally {
    client.kill('SIGKILL');
    await client;
  }
}

function loadOf(server: RunningServer, order: SampleOrder, topology: Topology): Load {
  return {
    address: server.address,
    port: server.port,
    threads: topology.record.client.threads,
    requestsPerConnection: order.requestsPerConnection,
    durationMs: order.durationMs,
    warmupMs: order.warmupMs,
  };
}

/** From the readings at the window's ends and what the generator says. */
function evaluate(application: Application, client: Awaited<Child>, [begin, end]: Reading[]): OkPart {
  if (client.timedOut) throw new Error('the load generator did not end in time');
  if (client.failed) {
    throw new Error(`the load generator failed: ${lastLine(client.stderr) || client.shortMessage}`);
  }
  if (!begin || !end)
    throw new Error('the load generator did not announce both ends of its measuring window');
  const { measured, faults } = application.readLoad(client.stdout);
  if (faults.length > 0 || !measured) throw new Error(faults.join('; '));
  return {
    measured: {
      ...measured,
      concurrency: application.concurrency,
      sampledUs: end.atUs - begin.atUs,
      serverCpuUs: end.serverCpuUs - begin.serverCpuUs,
      clientCpuUs: end.clientCpuUs - begin.clientCpuUs,
      cpus: cpusBetween(begin.cpus, end.cpus),
    },
    channels: channelsBetween(begin.channels, end.channels),
    systemCalls: end.systemCalls,
  };
}

/** What was measured must be what was asked for. */
export function checkChannels(variant: Variant, channels: Channels | null): void {
  const ran = channels ? megapipe(channels.engine, channels.techniques, channels.batch) : baseline;
  if (ran.id === variant.id && ran.batch === variant.batch) return;
  throw new Error(
    `the server ran as ${ran.id} (batch ${ran.batch}), not as ${variant.id} (batch ${variant.batch})`,
  );
}

function channelsBetween(before: Channels | null, after: Channels | null): Channels | null {
  if (!before || !after) return null;
  return {
    ...after,
    operations: after.operations - before.operations,
    crossings: after.crossings - before.crossings,
  };
}

function lastLine(text: string): string {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('{"event"'));
  return lines.at(-1) ?? '';
}
