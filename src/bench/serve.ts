import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { execa } from 'execa';
import { UserError } from '../base/errors.js';
import { makeFolder } from '../host/folders.js';
import { pinned } from '../host/topology.js';
import type { Variant } from '../results/schema.js';
import type { Application, Content, ServerFolders, ServerPlace } from './application/application.js';

/** What to run, and what it serves. */
export type Served = {
  application: Application;
  variant: Variant;
  place: ServerPlace;
  workloads: readonly string[];
};

/** Run a server until it ends or we are told to end; its output is ours, and so is its exit status. */
export async function serveInForeground(served: Served): Promise<void> {
  const { application, workloads } = served;
  const making = new AbortController();
  const told = { signal: undefined as NodeJS.Signals | undefined, pass: () => making.abort() };
  listen(told);
  const content = await application.prepareContent(workloads, making.signal).catch((error: unknown) => {
    if (!told.signal) throw error;
  });
  if (!content) return;
  const folders = { scratch: makeFolder(tmpdir()), content: content.folder };
  try {
    if (!told.signal) await serveFrom(folders, served, content, told);
  } finally {
    rmSync(folders.scratch, { recursive: true, force: true });
    content.remove();
  }
}

type Told = { signal: NodeJS.Signals | undefined; pass: (name: NodeJS.Signals) => void };

async function serveFrom(
  folders: ServerFolders,
  { application, variant, place }: Served,
  { parameters }: Content,
  told: Told,
): Promise<void> {
  const command = application.serverCommand(variant, place, folders);
  console.error(`megapipe: ${variant.id} on ${place.address}:${place.port}: ${command.join(' ')}`);
  for (const [name, value] of Object.entries(parameters)) console.error(`megapipe: ${name}: ${value}`);
  const [file, ...args] = pinned(place.cpus, command) as [string, ...string[]];
  const server = execa(file, args, { stdio: 'inherit', reject: false });
  told.pass = (name) => server.kill(name);
  const { exitCode, signal, shortMessage } = await server;
  if (told.signal) return;
  const { words } = application.complaints(folders);
  const hint = words === '' ? 'its own words are above' : `its log: ${words}`;
  if (signal) throw new UserError(`the server was killed by ${signal}`, { hint });
  if (exitCode !== 0) {
    throw new UserError(`the server ended with status ${exitCode ?? shortMessage}`, { hint });
  }
}

/** Signals are passed on from the start: to what is being made first, then to the server. */
function listen(told: Told): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      told.signal = name;
      told.pass(name);
    });
  }
}
