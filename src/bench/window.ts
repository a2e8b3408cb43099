import { cpuUsBetween, type ProcessTime, readCpus, readProcessTime } from '../host/cpu-time.js';
import { type ProcessId, processTree } from '../host/process-tree.js';
import type { Channels, CpuUse, Measured } from '../results/schema.js';
import type { WindowEvent } from './generator.js';
import type { Loaders } from './loaders.js';
import type { RunningServer } from './server.js';
import type { TraceCounter, Traced } from './trace.js';

/** The counters at one end of the measuring window. */
export type Reading = {
  atUs: number;
  /** Of its processes, in their order. */
  server: ProcessTime[];
  /** Of the load generator, by its own account: its threads end with the window. */
  generatorUs: number;
  /** Of what loads beside it. */
  loaders: ProcessTime[];
  cpus: CpuUse[];
  channels: Channels | null;
  /** Since the window began; null where nothing is counted. */
  traced: Traced | null;
};

/** Whom to read. */
type Watched = {
  server: RunningServer;
  loaders: Loaders;
  counter: TraceCounter | undefined;
};

/** Reads the counters when the load generator says that its window begins and ends. */
export function watchWindow(watched: Watched) {
  const readings: Promise<Reading>[] = [];
  return {
    onWindow: ({ event, cpuUs }: WindowEvent) => {
      const count = () => (event === 'measuring' ? begin(watched.counter) : end(watched.counter));
      const reading = takeReading(cpuUs, watched, count);
      // Waited for below; until then a failure has nobody to hear it.
      reading.catch(() => undefined);
      readings.push(reading);
    },
    readings: () => Promise.all(readings),
  };
}

/** Times first and in one go; what has to be asked for comes after, the same for all variants. */
async function takeReading(
  generatorUs: number,
  { server, loaders }: Watched,
  count: () => Promise<Traced | null>,
): Promise<Reading> {
  const times = {
    atUs: Number(process.hrtime.bigint() / 1000n),
    cpus: readCpus(),
    server: server.processes.map(({ pid }) => readProcessTime(pid)),
    generatorUs,
    loaders: loaders.pids().map(readProcessTime),
  };
  const traced = await count();
  const channels = await server.readChannels();
  return { ...times, traced, channels };
}

/** CPU time between the readings. Where workers are processes they are the server, where there are agents they are the clients. */
export function cpuTimesBetween(begin: Reading, end: Reading): Pick<Measured, 'serverCpuUs' | 'clientCpuUs'> {
  const sum = (before: ProcessTime[], after: ProcessTime[]) =>
    after.reduce((us, now, i) => us + cpuUsBetween(before[i] as ProcessTime, now), 0);
  return {
    serverCpuUs: sum(begin.server, end.server),
    clientCpuUs: end.generatorUs - begin.generatorUs + sum(begin.loaders, end.loaders),
  };
}

/** A worker that died and was replaced took its time with it, and the connections that it had. */
export function checkProcesses({ processes }: RunningServer): void {
  const names = (all: ProcessId[]) => all.map(({ pid, startedAt }) => `${pid} ${startedAt}`).sort();
  const [first] = processes;
  const now = first ? processTree(first.pid) : [];
  if (names(now).join() === names(processes).join()) return;
  throw new Error('processes of the server ended, or began, while it was measured');
}

async function begin(counter: TraceCounter | undefined): Promise<null> {
  await counter?.start();
  return null;
}

async function end(counter: TraceCounter | undefined): Promise<Traced | null> {
  return counter ? counter.stop() : null;
}
