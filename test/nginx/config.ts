import { availableParallelism } from 'node:os';
import type { Kind } from './kinds.js';

/** Where a server is; a configuration is written for it. */
export type Place = {
  /** The first of its ports. */
  port: number;
  /** Free TCP ports, as many as were asked for. */
  ports: number[];
  /** A folder of its own: nginx's prefix. Served files are in its html/. */
  directory: string;
};

/** Directives, or what makes them of the server's ports and folder. */
export type Part = string | ((place: Place) => string);

export type Config = {
  /** How many workers; 1 unless said, or with a partition one for each of the first two CPUs. */
  workers?: number;
  /**
   * A worker a CPU, each with its own accept queue where the event method can: worker_cpu_affinity auto. `default`
   * leaves both to nginx.
   */
  partition?: boolean | 'default';
  lwsocket?: boolean;
  batch?: number;
  workerConnections?: number;
  /** `master_process`. */
  master?: boolean;
  /** Who workers are, where we are root; nobody unless said. */
  user?: string;
  /** Leave the process that started it, as for a binary upgrade: a master ignores SIGUSR2 from its parent's place. */
  daemon?: boolean;
  /** Directives of the main context. */
  main?: Part;
  /** Further directives of events. */
  events?: Part;
  /** Directives of http: servers, or what holds for the one that `server` describes; false where nginx has no HTTP. */
  http?: Part | false;
  /** Directives of a server on the first port, whose root is html/. */
  server?: Part;
  /** Directives of stream; there is no stream block without. */
  stream?: Part;
};

/** How many workers a configuration has. */
export function workerCount({ workers, partition = false }: Config): number {
  return workers ?? (partition === true ? Math.min(2, availableParallelism()) : 1);
}

const write = (part: Part | undefined, place: Place) =>
  typeof part === 'function' ? part(place) : (part ?? '');

function httpBlock({ http, server }: Config, place: Place): string {
  if (http === false) return '';
  const serverBlock = `server { listen 127.0.0.1:${place.port}; root html; ${write(server, place)} }`;
  return `http {
  ${httpDirectives}
  ${write(http, place)}
  ${server === undefined && http !== undefined ? '' : serverBlock}
}`;
}

const onOff = (isOn: boolean) => (isOn ? 'on' : 'off');

function engineDirectives(kind: Kind, { lwsocket, partition = false, batch }: Config): string {
  if (kind.engine === undefined) return '';
  return [
    `use megapipe; megapipe_engine ${kind.engine};`,
    partition === 'default' ? '' : `megapipe_partition ${onOff(partition)};`,
    lwsocket === undefined ? '' : `megapipe_lwsocket ${onOff(lwsocket)};`,
    batch === undefined ? '' : `megapipe_batch ${batch};`,
  ].join(' ');
}

/** A CPU for each worker; old versions know no `auto`. */
function affinity({ version }: Kind, config: Config): string {
  const cpus = availableParallelism();
  const masks = Array.from({ length: workerCount(config) }, (_, worker) => `1${'0'.repeat(worker % cpus)}`);
  return `worker_cpu_affinity ${version === undefined ? 'auto' : masks.join(' ')};`;
}

function mainDirectives(kind: Kind, config: Config): string {
  const { partition = false, master = true, daemon = false, user = 'nobody nogroup' } = config;
  const isRoot = process.getuid?.() === 0;
  return `daemon ${onOff(daemon)}; master_process ${onOff(master)};
    ${isRoot ? `user ${user};` : ''}
    pid nginx.pid; lock_file nginx.lock;
    error_log error.log ${process.env.NGINX_TEST_LOG_LEVEL ?? 'info'};
    env ASAN_OPTIONS; env UBSAN_OPTIONS;
    worker_processes ${workerCount(config)}; ${partition === true ? affinity(kind, config) : ''}`;
}

const httpDirectives = `access_log off; default_type application/octet-stream;
    client_body_temp_path tmp-body; proxy_temp_path tmp-proxy;
    fastcgi_temp_path tmp-fastcgi; uwsgi_temp_path tmp-uwsgi; scgi_temp_path tmp-scgi;`;

/** A whole nginx.conf. */
export function nginxConfig(kind: Kind, config: Config, place: Place): string {
  const { main, events, stream, workerConnections = 1024 } = config;
  return `${mainDirectives(kind, config)}
${write(main, place)}
events {
  worker_connections ${workerConnections};
  ${engineDirectives(kind, config)}
  ${write(events, place)}
}
${httpBlock(config, place)}
${stream === undefined ? '' : `stream { ${write(stream, place)} }`}
`;
}
