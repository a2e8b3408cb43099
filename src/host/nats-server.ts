import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { unpackedRoot } from '../debian/install.js';
import { type Child, startChild } from './child.js';

/** A NATS server of our own. */
export type NatsServer = {
  url: string;
  pid: number;
  /** What it writes, while it runs. */
  folder: string;
  stop(): Promise<void>;
};

const readyWithinMs = 60_000;

const portsFile = z.object({ nats: z.array(z.string()).min(1) });

/** Where to run it: a command prefix that leads to its host, and that host's address. */
export type NatsPlace = {
  on?: (command: string[]) => string[];
  address: string;
  /** A free one unless given. */
  port?: number;
  /** Bytes of the largest message; nats-server's own limit unless given. */
  maxPayload?: number;
};

const binary = join(unpackedRoot('nats-server'), 'usr/sbin/nats-server');

/** Why no NATS server can be started here, or undefined. */
export function whyNoNats(): string | undefined {
  return existsSync(binary) ? undefined : `there is no ${binary}`;
}

/** Start a NATS server that keeps nothing, and wait until it listens. It ends when we do, at the latest. */
export async function startNats(place: NatsPlace, signal: AbortSignal): Promise<NatsServer> {
  const { on = (command) => command, address, port = -1, maxPayload } = place;
  const why = whyNoNats();
  if (why !== undefined) throw new UserError(why, { hint: 'npm run bench, or npm test, gets it' });
  const scratch = mkdtempSync(join(tmpdir(), 'megapipe-nats-'));
  const settings = join(scratch, 'nats.conf');
  writeFileSync(settings, maxPayload === undefined ? '' : `max_payload: ${maxPayload}\n`);
  const command = [
    binary,
    '--config',
    settings,
    '--addr',
    address,
    '--port',
    String(port),
    '--ports_file_dir',
    scratch,
  ];
  const child = startChild(on(command), signal);
  const stop = async () => {
    child.kill('SIGKILL');
    await child;
    rmSync(scratch, { recursive: true, force: true });
  };
  try {
    return { url: await untilListening(child, scratch), pid: child.pid as number, folder: scratch, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** It writes where it listens to a file of its own, once it does. */
async function untilListening(child: Child, scratch: string): Promise<string> {
  const deadline = Date.now() + readyWithinMs;
  while (Date.now() < deadline) {
    const url = readUrl(scratch);
    if (url !== undefined) return url;
    if (child.exitCode !== null || child.signalCode !== null) {
      const { stderr, shortMessage } = await child;
      throw new UserError(`nats-server ended: ${stderr.trim().split('\n').at(-1) || shortMessage}`);
    }
    await sleep(20);
  }
  throw new UserError(`nats-server did not listen within ${readyWithinMs / 1000} s`);
}

function readUrl(scratch: string): string | undefined {
  const [name] = readdirSync(scratch).filter((file) => file.endsWith('.ports'));
  if (!name) return undefined;
  try {
    return portsFile.parse(JSON.parse(readFileSync(join(scratch, name), 'utf8'))).nats[0];
  } catch {
    // Half written.
    return undefined;
  }
}
