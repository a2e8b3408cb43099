import { join } from 'node:path';
import { buildDir } from '../paths.js';
import type { Variant } from '../results.js';
import type { ServerPlace } from './application.js';

const program = (name: string) => join(buildDir, 'bench', name);

/** How long the rival that sleeps does so, in microseconds: as long as libmegapipe waits for a batch at most. */
const sleepUs = 50;

/** Bytes of a buffer unless the server is told of larger messages. */
const usualBuffer = 4096;

/** The rivals: which program, and with which options. */
const rivals: Record<string, string[]> = {
  baseline: [program('epoll-echo')],
  reuseport: [program('epoll-echo'), '-r'],
  steered: [program('epoll-echo'), '-s'],
  sleep: [program('epoll-echo'), '-w', String(sleepUs)],
  raw: [program('uring-echo'), '-s'],
};

/** The echo server of a variant: a rival, or libmegapipe's example. */
export function echoCommand(
  variant: Variant,
  { address, port, workers, messageBytes }: Omit<ServerPlace, 'cpus'>,
): string[] {
  // Smaller messages don't need buffers that are as small.
  const size = messageBytes && messageBytes > usualBuffer ? ['-m', String(messageBytes)] : [];
  const place = ['-t', String(workers), '-a', address, '-p', String(port), ...size];
  const rival = rivals[variant.id];
  if (rival) return [...rival, ...place];
  const { engine, techniques, batch } = variant;
  return [
    program('echo'),
    ...place,
    ...['-e', String(engine), '-b', String(batch)],
    ...(techniques.includes('lwsocket') ? [] : ['-L']),
    ...(techniques.includes('partition') ? [] : ['-P']),
  ];
}

/** What an echo server says when it listens: the variant that it is. */
export function echoGreeting({ server, engine, techniques, batch }: Variant): string {
  const state = (name: (typeof techniques)[number]) => (techniques.includes(name) ? 'on' : 'off');
  if (server === 'baseline') return 'listening';
  return `listening: engine ${engine}, batch ${batch}, lwsocket ${state('lwsocket')}, partition ${state('partition')}`;
}
