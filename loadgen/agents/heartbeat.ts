import { setTimeout as sleep } from 'node:timers/promises';
import { ask, type Connection, NoAnswer } from './nats.js';
import { isOver, type Part, type Parts } from './parts.js';

const everyMs = 1000;
/** Then it is asked again. */
const answerMs = 3000;

/** An agent that lost its connection has found it again by then; one that ended hasn't. */
const goneMs = 6000;

/** While an agent prepares it may compute for long, and not hear. */
const preparingFactor = 4;

/** Which agents are asked, how long they may be silent, and until when. */
export type Heartbeat = {
  nats: Connection;
  session: string;
  run: string;
  silenceMs: number;
  signal: AbortSignal;
};

/** Ask each agent every second whether it is there; those that don't answer for long, or are gone, are lost. */
export function startHeartbeat(parts: Parts, heartbeat: Heartbeat): void {
  for (const part of parts.all) void beat(part, parts, heartbeat);
}

async function beat(part: Part, parts: Parts, heartbeat: Heartbeat): Promise<void> {
  const heard = { at: performance.now(), elsewhere: 0 };
  while (!isOver(part) && !heartbeat.signal.aborted) {
    const loss = await lossNow(part, heard, heartbeat);
    if (heartbeat.signal.aborted) return;
    if (loss) parts.lose(part, { message: loss, exitCode: 1 });
    await sleep(everyMs, undefined, { ref: false });
  }
}

type Heard = { at: number; elsewhere: number };

async function lossNow(
  part: Part,
  heard: Heard,
  { nats, session, run, silenceMs }: Heartbeat,
): Promise<string | undefined> {
  const patienceMs = part.state === 'preparing' ? preparingFactor * silenceMs : silenceMs;
  try {
    const { run: theirs } = await ask(
      nats,
      session,
      part.agent.id,
      'ping',
      { run },
      Math.min(patienceMs, answerMs),
    );
    heard.at = performance.now();
    heard.elsewhere = theirs === run ? 0 : heard.elsewhere + 1;
    // Once may be by chance: its result is on the way.
    return heard.elsewhere > 2 ? 'it no longer works at this load' : undefined;
  } catch (error) {
    const silentMs = performance.now() - heard.at;
    if (error instanceof NoAnswer && error.isGone) return silentMs > goneMs ? 'it is gone' : undefined;
    return silentMs > patienceMs
      ? `nothing was heard of it for ${(silentMs / 1000).toFixed(0)} s`
      : undefined;
  }
}
