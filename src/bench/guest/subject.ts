import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { filePath } from '../../../loadgen/file-set.js';
import { workload } from '../../../loadgen/workloads.js';
import { startChild } from '../../host/child.js';
import { freePort } from '../../host/free-port.js';
import { makeTopology } from '../../host/topology.js';
import type { Variant } from '../../results/schema.js';
import type { Application } from '../application/application.js';
import { echoCommand, echoGreeting } from '../application/echo/programs.js';
import { isPapersMemcached, memcachedAt } from '../application/memcached/memcached.js';
import { nginxAt } from '../application/nginx/nginx.js';
import { checkIdentity } from '../sample.js';
import { startServer } from '../server.js';
import { measureAnswers } from './http-answers.js';
import type { GuestPlan } from './plan.js';
import { pingpong } from './programs.js';
import { memcachedPrefill, memcachedRequests, type ScriptRequest, writeScript } from './script.js';

/** A server that answers, and what it is asked; without a script, 64 bytes that come back. */
export type Target = { port: number; script?: string; stop(): Promise<void> };

/** What is measured, inside the guest. */
export type Subject = { start(variant: Variant): Promise<Target>; close(): void };

/** Make a subject ready; whoever calls this must close it. */
export async function openSubject(
  { subject, version }: Pick<GuestPlan, 'subject' | 'version'>,
  signal: AbortSignal,
): Promise<Subject> {
  if (subject === 'echo') return { start: (variant) => startEcho(variant, signal), close: () => undefined };
  const scratch = mkdtempSync(join(tmpdir(), 'megapipe-count-'));
  const close = () => rmSync(scratch, { recursive: true, force: true });
  return subject === 'memcached'
    ? openApplication(
        withoutLruThread(memcachedAt(version)),
        memcachedScripts(scratch, signal),
        close,
        signal,
      )
    : openApplication(nginxAt(version), nginxScript(scratch), close, signal);
}

/** That thread works by the clock, and so as it happens: counts are to repeat. The paper's version has none. */
const withoutLruThread = (memcached: Application): Application => ({
  ...memcached,
  serverCommand: (...place) => [
    ...memcached.serverCommand(...place),
    ...(isPapersMemcached(memcached.version) ? [] : ['-o', 'no_lru_maintainer']),
  ],
});

async function startEcho(variant: Variant, signal: AbortSignal): Promise<Target> {
  const port = await freePort();
  const child = startChild(echoCommand(variant, { address: '127.0.0.1', port, workers: 1 }), signal);
  const lines = createInterface({ input: child.stdout });
  const greeting = await new Promise<string | undefined>((resolve) => {
    lines.once('line', resolve);
    void child.then(() => resolve(undefined));
  });
  const stop = async () => {
    child.kill('SIGKILL');
    await child;
  };
  if (greeting === echoGreeting(variant)) return { port, stop };
  await stop();
  throw new Error(greeting ? `the server said: ${greeting}` : (await child).stderr || 'the server ended');
}

/** Makes a running server ready to be asked, and tells what to ask. */
type Scripts = (port: number) => Promise<string>;

async function openApplication(
  application: Application,
  scripts: Scripts,
  close: () => void,
  signal: AbortSignal,
): Promise<Subject> {
  const content = await application.prepareContent(['specweb'], signal);
  const context = { application, content, signal, topology: await makeTopology('loopback') };
  const start = async (variant: Variant) => {
    const server = await startServer(context, variant, { cores: 1 });
    try {
      checkIdentity(variant, await server.identify());
      return { port: server.port, script: await scripts(server.port), stop: server.stop };
    } catch (error) {
      await server.stop().catch(() => undefined);
      throw error;
    }
  };
  const closeAll = () => {
    content.remove();
    close();
  };
  return { start, close: closeAll };
}

/** Each server is a fresh one: it has to be filled. */
function memcachedScripts(scratch: string, signal: AbortSignal): Scripts {
  const [prefill, script] = [join(scratch, 'prefill'), join(scratch, 'script')];
  const sets = memcachedPrefill();
  writeScript(prefill, sets);
  writeScript(script, memcachedRequests());
  return async (port) => {
    const command = [
      pingpong,
      '-c',
      '1',
      '-w',
      String(sets.length),
      '-f',
      prefill,
      '127.0.0.1',
      String(port),
    ];
    const { exitCode, stderr } = await startChild(command, signal);
    if (exitCode !== 0) throw new Error(`the server could not be filled: ${stderr}`);
    return script;
  };
}

/** The same files are served by every variant, with the same heads. */
function nginxScript(scratch: string): Scripts {
  const script = join(scratch, 'script');
  const files = workload('specweb');
  const paths = [...files.sizes].map((_, index) => `/${filePath(files, index)}`);
  let requests: ScriptRequest[] | undefined;
  return async (port) => {
    if (!requests) {
      requests = await measureAnswers(port, paths);
      writeScript(script, requests);
    }
    return script;
  };
}
