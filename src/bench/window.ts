import { createInterface } from 'node:readline';
import type { Child } from '../host/child.js';
import { processCpuUs, readCpus } from '../host/cpu-time.js';
import { type ProcessId, processTree } from '../host/process-tree.js';
import type { Channels, CpuUse } from '../results/schema.js';
import type { Loaders } from './loaders.js';
import type { RunningServer } from './server.js';
import type { SystemCallCounter } from './trace.js';

/** The counters at one end of the measuring window. */
export type Reading = {
  atUs: number;
  serverCpuUs: number;
  clientCpuUs: number;
  cpus: CpuUse[];
  channels: Channels | null;
  /** Since the window began; null where nothing counts them. */
  systemCalls: number | null;
};

/** Whom to read. */
type Watched = {
  server: RunningServer;
  loaders: Loaders;
  counter: SystemCallCounter | undefined;
};

/** Read the counters when the load generator says that its window begins and ends; until it closes its stderr. */
export async function watchWindow(client: Child, watched: Watched): Promise<Reading[]> {
  const readings: Promise<Reading>[] = [];
  const take = (count: () => Promise<number | null>) => {
    const reading = takeReading(client, watched, count);
    // Waited for below; until then a failure has nobody to hear it.
    reading.catch(() => undefined);
    readings.push(reading);
  };
  for await (const line of createInterface({ input: client.stderr })) {
    if (line.startsWith('{"event":"measuring"')) take(() => begin(watched.counter));
    if (line.startsWith('{"event":"measured"')) take(() => end(watched.counter));
  }
  return Promise.all(readings);
}

/** Times first and in one go; what has to be asked for comes after, the same for all variants. */
async function takeReading(
  client: Child,
  { server, loaders }: Watched,
  count: () => Promise<number | null>,
): Promise<Reading> {
  const times = {
    atUs: Number(process.hrtime.bigint() / 1000n),
    serverCpuUs: cpuUsOf(server.processes.map(({ pid }) => pid)),
    clientCpuUs: cpuUsOf([client.pid as number, ...loaders.pids()]),
    cpus: readCpus(),
  };
  const systemCalls = await count();
  const channels = await server.readChannels();
  return { ...times, systemCalls, channels };
}

/** Of all its processes: where workers are processes they are the server, where there are agents they are the clients. */
function cpuUsOf(pids: number[]): number {
  return pids.reduce((sum, pid) => sum + processCpuUs(pid), 0);
}

/** A worker that died and was replaced took its time with it, and the connections that it had. */
export function checkProcesses({ processes }: RunningServer): void {
  const names = (all: ProcessId[]) => all.map(({ pid, startedAt }) => `${pid} ${startedAt}`).sort();
  const [first] = processes;
  const now = first ? processTree(first.pid) : [];
  if (names(now).join() === names(processes).join()) return;
  throw new Error('processes of the server ended, or began, while it was measured');
}

async function begin(counter: SystemCallCounter | undefined): Promise<number | null> {
  await counter?.start();
  return null;
}

async function end(counter: SystemCallCounter | undefined): Promise<number | null> {
  return counter ? counter.stop() : null;
}
