import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Channels, Variant } from '../../../results/schema.js';
import type { Identity, ServerFolders, Started } from '../application.js';
import { channelsIn } from '../channel-words.js';
import { echoGreeting } from './programs.js';

/** Where all that a server says is kept. */
export const wordsFile = ({ scratch }: ServerFolders) => join(scratch, 'words');

/** What a server has said, in whole lines: first its greeting. */
function linesOf(folders: ServerFolders): string[] {
  const file = wordsFile(folders);
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
}

/** What it said when it began to listen; empty before. */
export function greetingOf(folders: ServerFolders): string {
  return linesOf(folders)[0] ?? '';
}

/** What a greeting says that the server is: that over libmegapipe, or one of its rivals. */
export function identityOf(greeting: string, rivals: readonly Variant[]): Identity {
  const rival = rivals.find((variant) => echoGreeting(variant) === greeting);
  if (rival) return { stock: rival.id };
  const channels = channelsIn(greeting);
  if (channels === undefined) throw new Error(`the server is none of ours: it said "${greeting}"`);
  return channels;
}

const count = z.int().nonnegative();

/** What one of the server's threads tells of its channel. */
const told = z.object({
  cpu: count,
  requests: count,
  crossings: count,
  largestFlush: count,
});

const withinMs = 5000;

/** Have the server tell what its channels have done so far: each in a line of its own. */
export async function askChannels(
  identity: Identity,
  { pid, workers, folders }: Started,
): Promise<Channels | null> {
  if (!identity || !('engine' in identity)) return null;
  const before = linesOf(folders).length;
  process.kill(pid, 'SIGUSR1');
  const deadline = Date.now() + withinMs;
  while (Date.now() < deadline) {
    const lines = linesOf(folders).slice(before);
    if (lines.length >= workers) return { ...identity, ...together(lines) };
    await sleep(2);
  }
  throw new Error(`the server did not tell what its channels had done within ${withinMs / 1000} s`);
}

/** Of each thread the last that it told. */
function together(lines: string[]): Pick<Channels, 'operations' | 'crossings' | 'largestBatch'> {
  const all = lines.map((line) => told.parse(JSON.parse(line)));
  const last = [...new Map(all.map((one) => [one.cpu, one])).values()];
  return {
    operations: last.reduce((sum, { requests }) => sum + requests, 0),
    crossings: last.reduce((sum, { crossings }) => sum + crossings, 0),
    largestBatch: Math.max(...last.map(({ largestFlush }) => largestFlush)),
  };
}
