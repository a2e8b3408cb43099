import { join } from 'node:path';
import { buildDir } from '../../../base/paths.js';
import type { Variant } from '../../../results/schema.js';
import type { ServerPlace } from '../application.js';

const program = (name: string) => join(buildDir, 'bench', name);

/** How long the rival that sleeps does so, in microseconds: as the variants that wait for a batch do at most, like uring+PBL-W50. */
export const sleepUs = 50;

/** Bytes of a buffer unless the server is told of larger messages. */
const usualBuffer = 4096;

/** The rivals: which program with which options, and as what it says it runs. */
const rivals: Record<string, { command: string[]; runsAs: string }> = {
  baseline: { command: [program('epoll-echo')], runsAs: 'epoll, queue shared' },
  reuseport: { command: [program('epoll-echo'), '-r'], runsAs: 'epoll, queues hashed' },
  steered: { command: [program('epoll-echo'), '-s'], runsAs: 'epoll, queues steered' },
  sleep: {
    command: [program('epoll-echo'), '-w', String(sleepUs)],
    runsAs: `epoll, queue shared, sleep ${sleepUs} us`,
  },
  raw: { command: [program('uring-echo'), '-s'], runsAs: 'io_uring, queues steered' },
};

/** The echo server of a variant: a rival, or that over libmegapipe. */
export function echoCommand(
  variant: Variant,
  { address, port, workers, messageBytes }: Omit<ServerPlace, 'cpus'>,
): string[] {
  // Smaller messages don't need buffers that are as small.
  const size = messageBytes && messageBytes > usualBuffer ? ['-m', String(messageBytes)] : [];
  const place = ['-t', String(workers), '-a', address, '-p', String(port), ...size];
  const rival = rivals[variant.id];
  if (rival) return [...rival.command, ...place];
  const { engine, techniques, batch, moderationUs } = variant;
  return [
    program('megapipe-echo'),
    ...place,
    ...['-e', String(engine), '-b', String(batch), '-w', String(moderationUs)],
    ...(techniques.includes('lwsocket') ? [] : ['-L']),
    ...(techniques.includes('partition') ? [] : ['-P']),
  ];
}

/** What an echo server says when it listens: the variant that it is. */
export function echoGreeting({ id, engine, techniques, batch, moderationUs }: Variant): string {
  const state = (name: (typeof techniques)[number]) => (techniques.includes(name) ? 'on' : 'off');
  const rival = rivals[id];
  if (rival) return `listening: ${rival.runsAs}`;
  return `listening: engine ${engine}, batch ${batch}, lwsocket ${state('lwsocket')}, partition ${state('partition')}, moderation ${moderationUs} us`;
}
