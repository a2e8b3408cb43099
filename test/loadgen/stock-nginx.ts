import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { freePort } from '../../src/host/free-port.js';
import { loadPort, serverBinary } from '../../src/port/port.js';

export type StockNginx = {
  /** http://127.0.0.1:PORT, without a slash behind. */
  url: string;
  port: number;
  /** The same server on a UNIX socket. */
  socket: string;
  pid: number;
  /** What it serves. */
  root: string;
  /** What it counted of connections and requests while something was done. */
  counted<T>(work: () => Promise<T>): Promise<{ accepts: number; requests: number; result: T }>;
  /** The lines of its access log. */
  accessLog(): string[];
  stop(): Promise<void>;
};

export type Settings = {
  workers?: number;
  /** What to serve instead of a folder of its own. */
  root?: string;
  /** Directives of the server. */
  server?: string;
  /** How many requests it lets a connection make. */
  requestsPerConnection?: number;
  accessLog?: boolean;
};

function configuration(port: number, directory: string, root: string, settings: Settings): string {
  const user = process.getuid?.() === 0 ? 'user nobody nogroup;' : '';
  return `daemon off; ${user} pid nginx.pid; error_log error.log notice; worker_rlimit_nofile 8192;
    worker_processes ${settings.workers ?? 1};
    events { worker_connections 4096; }
    http {
      log_format plain '$connection $request_method $request_uri $status';
      access_log ${settings.accessLog ? 'access.log plain' : 'off'};
      keepalive_requests ${settings.requestsPerConnection ?? 1_000_000_000}; default_type application/octet-stream;
      client_body_temp_path tmp-body; proxy_temp_path tmp-proxy; fastcgi_temp_path tmp-fastcgi;
      uwsgi_temp_path tmp-uwsgi; scgi_temp_path tmp-scgi;
      open_file_cache max=4096 inactive=600s; open_file_cache_valid 600s;
      server {
        listen 127.0.0.1:${port} backlog=1024; listen unix:${directory}/socket;
        root ${root};
        location = /counted { access_log off; stub_status; }
        ${settings.server ?? ''}
      }
    }`;
}

function ask(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('latin1').on('data', (part: string) => {
        text += part;
      });
      answer.on('end', () => resolve(text)).on('error', reject);
    }).on('error', reject);
  });
}

async function statusOf(port: number): Promise<{ accepts: number; requests: number }> {
  const numbers = / (\d+) (\d+) (\d+) \n/.exec(await ask(port, '/counted'));
  if (!numbers) throw new Error('no answer of stub_status');
  return { accepts: Number(numbers[1]), requests: Number(numbers[3]) };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** An answer to a question that may come too early; whoever else took the port doesn't give one. */
async function untilServing(port: number, isOver: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 1500 && !isOver(); tries++) {
    const text = await ask(port, '/counted').catch(() => '');
    if (text.startsWith('Active connections')) return true;
    await pause(20);
  }
  return false;
}

/** Start the distribution's nginx as it is, on a port that is free. Its workers are nobody's where we are root. */
export async function startNginx(settings: Settings = {}): Promise<StockNginx> {
  for (let tries = 1; ; tries++) {
    const started = await tryToStart(settings);
    if (typeof started !== 'string') return started;
    if (tries === 5 || !started.includes('Address already in use')) throw new Error(started);
  }
}

function makeFolder(): string {
  const directory = mkdtempSync(join(tmpdir(), 'megapipe-load-'));
  mkdirSync(join(directory, 'html'));
  for (const folder of [directory, join(directory, 'html')]) chmodSync(folder, 0o755);
  return directory;
}

async function tryToStart(settings: Settings): Promise<StockNginx | string> {
  const directory = makeFolder();
  const root = settings.root ?? join(directory, 'html');
  const port = await freePort();
  writeFileSync(join(directory, 'nginx.conf'), configuration(port, directory, root, settings));
  const args = ['-p', directory, '-c', 'nginx.conf', '-e', 'stderr'];
  const server = execa(serverBinary(loadPort('nginx'), 'baseline'), args, { reject: false, stdin: 'ignore' });
  let isOver = false;
  const end = server.then((result) => {
    isOver = true;
    return result;
  });
  if (!(await untilServing(port, () => isOver))) {
    server.kill();
    const { stderr } = await end;
    rmSync(directory, { recursive: true, force: true });
    return `nginx did not start: ${stderr}`;
  }
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    socket: join(directory, 'socket'),
    pid: server.pid as number,
    root,
    async counted(work) {
      const before = await statusOf(port);
      const result = await work();
      const after = await statusOf(port);
      // The second question is one too.
      const since = (what: 'accepts' | 'requests') => after[what] - before[what] - 1;
      return { accepts: since('accepts'), requests: since('requests'), result };
    },
    accessLog: () => readFileSync(join(directory, 'access.log'), 'latin1').split('\n').slice(0, -1),
    async stop() {
      server.kill();
      await end;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
