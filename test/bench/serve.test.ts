import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, expect } from 'vitest';
import { allowedCpus, parseCpuList } from '../../src/base/cpus.js';
import { freePort } from '../../src/host/free-port.js';
import { testUnless } from '../skip.js';
import { childrenOf, isRunning, notBuilt, start } from './running.js';

/** All that a server answers to these words; they must make it close the connection. */
async function ask(port: number, words: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8').setTimeout(120_000);
  socket.on('timeout', () => socket.destroy(new Error('no answer')));
  socket.write(words);
  let answer = '';
  for await (const part of socket) answer += part;
  return answer;
}

async function serving(args: string[]) {
  const port = await freePort();
  const server = start(['serve', 'memcached', '--port', String(port), ...args]);
  await expect.poll(() => ask(port, 'version\r\nquit\r\n').catch(() => '')).toContain('VERSION');
  return { port, server };
}

/** The CPUs that each thread of a process may use. */
function affinities(pid: number): number[][] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    return parseCpuList(/Cpus_allowed_list:\s*(\S+)/.exec(status)?.[1] ?? '');
  });
}

describe('megapipe serve', () => {
  testUnless(notBuilt)('runs the variant that was asked for until it is told to end', async () => {
    const { port, server } = await serving([
      '--engine',
      'epoll',
      '--batch',
      '8',
      '--no-lwsocket',
      '--threads',
      '1',
    ]);
    const stats = await ask(port, 'stats megapipe\r\nquit\r\n');
    expect(stats).toMatch(/STAT engine epoll\r\n(.*\r\n)*STAT batch 8\r\nSTAT lwsocket no\r\n/);
    expect(await ask(port, 'stats settings\r\nquit\r\n')).toContain('STAT num_threads 1\r\n');
    const children = childrenOf(server.pid as number).map(({ pid }) => pid);
    expect(children).toHaveLength(1);
    server.kill('SIGTERM');
    expect((await server).exitCode).toBe(0);
    expect(children.filter(isRunning)).toEqual([]);
  });

  testUnless(notBuilt)('runs the baseline without channels', async () => {
    const { port, server } = await serving(['--variant', 'baseline']);
    expect(await ask(port, 'stats megapipe\r\nquit\r\n')).not.toContain('engine');
    server.kill('SIGINT');
    expect((await server).exitCode).toBe(0);
  });

  testUnless(notBuilt)('pins the workers of both variants, one a CPU', async () => {
    for (const variant of [
      ['--variant', 'baseline'],
      ['--engine', 'epoll'],
    ]) {
      const { server } = await serving(variant);
      const [child] = childrenOf(server.pid as number);
      const pinned = affinities(child?.pid as number).filter(({ length }) => length === 1);
      const cpus = allowedCpus();
      if (cpus.length > 1) expect(pinned.flat().sort()).toEqual(cpus);
      server.kill('SIGTERM');
      await server;
    }
  });

  testUnless(notBuilt)('says so where the server cannot run', async () => {
    const { port, server } = await serving(['--variant', 'baseline']);
    const second = await start(['serve', 'memcached', '--variant', 'baseline', '--port', String(port)]);
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toContain('Address already in use');
    expect(second.stderr).toMatch(/megapipe: the server ended with status \d+/);
    server.kill('SIGTERM');
    await server;
  });
});
