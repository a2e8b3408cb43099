import { join } from 'node:path';
import { buildDir } from '../../paths.js';
import type { Variant } from '../../results.js';

const program = (name: string) => join(buildDir, 'bench', name);

/** The plugin of qemu that counts instructions. */
export const countPlugin = program('count.so');

/** The client, whose marks the plugin sees. */
export const pingpong = program('pingpong');

/** The echo server of a variant: the rival over epoll, or libmegapipe's example. */
export function echoCommand({ server, engine, techniques, batch }: Variant, port: number): string[] {
  const place = ['-a', '127.0.0.1', '-p', String(port)];
  if (server === 'baseline') return [program('epoll-echo'), ...place];
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
