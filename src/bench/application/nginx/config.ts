import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Variant } from '../../../results/schema.js';
import type { ServerFolders, ServerPlace } from '../application.js';

/**
 * The same for every variant. Files come from memory through sendfile(), as the paper has them served (section 5.3), and
 * stay open; a connection ends when the client wants it to; nothing is written for a request.
 */
export const httpSettings = [
  'sendfile on',
  'tcp_nopush on',
  'tcp_nodelay on',
  'access_log off',
  'keepalive_requests 1000000',
  'keepalive_timeout 300s',
  'open_file_cache max=100000 inactive=1h',
  'open_file_cache_valid 1h',
];

/** Room for all connections in one worker, where the kernel gives them all to one; who accepts is left to the kernel. */
export const eventSettings = ['worker_connections 4096', 'accept_mutex off'];

const backlog = 4096;

/** The configuration of one variant: the variants differ in the events block and in `reuseport`, and in nothing else. */
export function nginxConfig(variant: Variant, place: ServerPlace, { content }: ServerFolders): string {
  const { address, port, workers, cpus } = place;
  const listen = `listen ${address}:${port} backlog=${backlog}${variant.reuseport ? ' reuseport' : ''}`;
  return [
    'daemon off;',
    `worker_processes ${workers};`,
    `worker_cpu_affinity ${affinities(workers, cpus).join(' ')};`,
    `worker_rlimit_nofile ${descriptorLimit()};`,
    // Notices tell which event method runs, and nothing is logged for a request that goes well.
    'error_log error.log notice;',
    'pid nginx.pid;',
    block('events', [...eventsOf(variant), ...eventSettings]),
    block('http', [...httpSettings, server([listen, `root "${content}"`])]),
    '',
  ].join('\n');
}

/** Where `nginx -p` with this configuration, in this folder, writes what it has to say. */
export const errorLog = (scratch: string) => join(scratch, 'error.log');

function eventsOf({ server, engine, techniques, batch, moderationUs }: Variant): string[] {
  if (server === 'baseline') return ['use epoll'];
  const state = (technique: (typeof techniques)[number]) => (techniques.includes(technique) ? 'on' : 'off');
  return [
    'use megapipe',
    `megapipe_engine ${engine}`,
    `megapipe_batch ${batch}`,
    `megapipe_moderation_us ${moderationUs}`,
    `megapipe_lwsocket ${state('lwsocket')}`,
    `megapipe_partition ${state('partition')}`,
  ];
}

/** For the question whether it is up; everything else is a file. */
function server(settings: string[]): string {
  return block('server', [...settings, block('location = /', ['return 204'])]);
}

function block(name: string, settings: string[]): string {
  const lines = settings.map((setting) => (setting.endsWith('}') ? setting : `${setting};`));
  return `${name} {\n${lines.join('\n').replace(/^/gm, '  ')}\n}`;
}

/** A mask for each worker, the lowest CPU last; with more workers than CPUs they take turns. */
function affinities(workers: number, cpus: number[]): string[] {
  return Array.from({ length: workers }, (_, worker) => {
    const cpu = cpus[worker % cpus.length] as number;
    return `1${'0'.repeat(cpu)}`;
  });
}

/** For the connections and the files that are kept open, as far as this process may go. */
function descriptorLimit(): number {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Math.min(hard === 'unlimited' ? 65_536 : Number(hard), 65_536);
}
