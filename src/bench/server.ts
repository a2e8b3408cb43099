import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, startChild } from '../host/child.js';
import { dialogue } from '../host/dialogue.js';
import { makeFolder } from '../host/folders.js';
import { freePort } from '../host/free-port.js';
import { killAll, type ProcessId, processTree } from '../host/process-tree.js';
import type { Topology } from '../host/topology.js';
import { pinned } from '../host/topology.js';
import type { Channels, Point, Variant } from '../results/schema.js';
import type { Application, Ask, Content, Identity, ServerFolders } from './application/application.js';

/** A server that answers. */
export type RunningServer = {
  /** All that run for it; the first is the one that was started. */
  processes: ProcessId[];
  address: string;
  port: number;
  /** What it says it runs as. */
  identify(): Promise<Identity>;
  /** What its channels have done so far; null where it does not tell. */
  readChannels(): Promise<Channels | null>;
  /** What went wrong, and what the server itself wrote of it. */
  explain(error: Error): string;
  /** End it; throws where it had died before. */
  stop(): Promise<void>;
};

/** Which server, and where. */
export type ServerContext = {
  application: Application;
  topology: Topology;
  content: Content;
  signal: AbortSignal;
};

const readyWithinMs = 60_000;

/** On how many of the CPUs, and for what sizes of requests, where that is known. */
type Wanted = Pick<Point, 'cores'> & Partial<Pick<Point, 'messageBytes'>>;

/** Start a server on some of the CPUs of the topology's server host, and wait until it answers. */
export async function startServer(
  context: ServerContext,
  variant: Variant,
  wanted: Wanted,
): Promise<RunningServer> {
  const folders = { scratch: makeFolder(tmpdir()), content: context.content.folder };
  try {
    return await startIn(folders, context, variant, wanted);
  } catch (error) {
    rmSync(folders.scratch, { recursive: true, force: true });
    throw error;
  }
}

async function startIn(
  folders: ServerFolders,
  { application, topology, signal }: ServerContext,
  variant: Variant,
  wanted: Wanted,
): Promise<RunningServer> {
  const { address } = topology.record.server;
  const cpus = topology.record.server.cpus.slice(0, wanted.cores);
  const { messageBytes = null } = wanted;
  const place = { address, port: await freePort(), workers: cpus.length, cpus, messageBytes };
  await topology.steerServer(cpus);
  const command = pinned(
    cpus,
    heard(application, folders, application.serverCommand(variant, place, folders)),
  );
  const child = startChild(topology.onServer(command), signal, { orphaned: application.orphaned });
  const ask: Ask = (words, bytes) => dialogue(topology.onServer, address, place.port, words, bytes);
  const complain = () => application.complaints(folders).words;
  let processes: ProcessId[] = processTree(child.pid ?? 0);
  try {
    await untilReady(child, application, ask, folders);
    processes = await untilComplete(child, application.processes(place));
  } catch (error) {
    await killAll(processTree(child.pid ?? 0));
    await child;
    throw new Error(explain(error as Error, complain()), { cause: error });
  }
  return {
    processes,
    address,
    port: place.port,
    identify: () => application.identify(ask, folders),
    readChannels: () => application.readChannels(ask, { pid: child.pid ?? 0, workers: cpus.length, folders }),
    explain: (error) => explain(error, complain()),
    stop: () => stopServer(child, processes, folders, complain),
  };
}

/** The command, whose words are kept where the application wants them: the shell becomes the server. */
function heard({ wordsFile }: Application, folders: ServerFolders, command: string[]): string[] {
  return wordsFile ? ['sh', '-c', 'exec "$@" > "$0" 2>&1', wordsFile(folders), ...command] : command;
}

async function untilReady(
  child: Child,
  { isReady, complaints }: Application,
  ask: Ask,
  folders: ServerFolders,
): Promise<void> {
  const deadline = Date.now() + readyWithinMs;
  while (Date.now() < deadline) {
    if (await Promise.race([child.then(() => false), isReady(ask, folders).catch(() => false)])) return;
    if (hasEnded(child)) throw new Error(describeEnd(await child));
    if (complaints(folders).fatal) throw new Error('the server cannot serve');
    await sleep(20);
  }
  throw new Error(`the server did not answer within ${readyWithinMs / 1000} s`);
}

/** The first worker may answer before the last one is there. */
async function untilComplete(child: Child, count: number): Promise<ProcessId[]> {
  const deadline = Date.now() + readyWithinMs;
  for (;;) {
    const processes = processTree(child.pid ?? 0);
    if (processes.length === count) return processes;
    if (hasEnded(child)) throw new Error(describeEnd(await child));
    if (Date.now() > deadline) throw new Error(`the server has ${processes.length} processes, not ${count}`);
    await sleep(5);
  }
}

/** Outright: there is nothing to save, and memcached takes up to a second to end in order. */
async function stopServer(
  child: Child,
  processes: ProcessId[],
  { scratch }: ServerFolders,
  complain: () => string,
): Promise<void> {
  // The kernel's word: this process may not have heard of the end yet.
  const now = processTree(child.pid ?? 0);
  const died = now.length === 0;
  await killAll([...now, ...processes]);
  const result = await child;
  const complaints = complain();
  rmSync(scratch, { recursive: true, force: true });
  if (died && !result.isCanceled) throw new Error(explain(new Error(describeEnd(result)), complaints));
}

function hasEnded(child: Child): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function describeEnd({ exitCode, signal, stderr }: Awaited<Child>): string {
  const how = signal ? `was killed by ${signal}` : `ended with status ${exitCode}`;
  const said = stderr.trim().split('\n').slice(-3).join('; ');
  return `the server ${how}${said ? `: ${said}` : ''}`;
}

function explain({ message }: Error, complaints: string): string {
  return complaints === '' || message.includes(complaints) ? message : `${message}; its log: ${complaints}`;
}
