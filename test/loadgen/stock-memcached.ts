import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { unpackedRoot } from '../../src/debian/install.js';
import { untilDone } from '../waiting.js';

export type StockMemcached = {
  /** For --server. */
  address: string;
  port: number;
  pid: number;
  stats(): Promise<Record<string, number>>;
  stop(): Promise<void>;
};

const endOfAnswer = /(?:^|\n)(?:END|OK|ERROR)\r\n$/;

/** Send a line to a memcached server, and read the answer. */
function ask(target: { port: number } | { path: string }, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection('port' in target ? { ...target, host: '127.0.0.1' } : target);
    let answer = '';
    socket.setEncoding('latin1').on('error', reject);
    socket.on('data', (text: string) => {
      answer += text;
      if (!endOfAnswer.test(answer)) return;
      socket.destroy();
      resolve(answer);
    });
    socket.write(`${line}\r\n`);
  });
}

function readPort(file: string): number {
  const match = /^TCP INET: (\d+)$/m.exec(readFileSync(file, 'latin1'));
  if (!match) throw new Error('memcached has no port yet');
  return Number(match[1]);
}

/** Numbers among the statistics; the times of rusage in microseconds. */
function parseStats(answer: string): Record<string, number> {
  const lines = [...answer.matchAll(/^STAT (\S+) (\d+)(\.\d{6})?\r$/gm)];
  return Object.fromEntries(
    lines.map(([, name, whole, part]) => [name, part ? Number(`${whole}${part}`) * 1e6 : Number(whole)]),
  );
}

/** Start the distribution's memcached on a port of its own choice, or with { unix: true } on a socket file. */
export async function startMemcached(
  args: string[] = [],
  { unix = false }: { unix?: boolean } = {},
): Promise<StockMemcached> {
  const scratch = mkdtempSync(join(tmpdir(), 'megapipe-load-'));
  const portFile = join(scratch, 'port');
  const socketFile = join(scratch, 'socket');
  const where = unix ? ['-s', socketFile] : ['-l', '127.0.0.1', '-p', '-1', '-U', '0'];
  const binary = join(unpackedRoot('memcached'), 'usr/bin/memcached');
  const server = execa(binary, ['-u', userInfo().username, '-m', '512', ...where, ...args], {
    env: { MEMCACHED_PORT_FILENAME: portFile },
    reject: false,
    stdio: 'ignore',
  });
  const stillRuns = () => {
    if (server.exitCode !== null || server.signalCode !== null) throw new Error(`${binary} has ended`);
  };
  const port = unix ? 0 : await untilDone(() => readPort(portFile), stillRuns);
  const target = unix ? { path: socketFile } : { port };
  await untilDone(() => ask(target, 'stats'), stillRuns);
  return {
    address: unix ? `unix:${socketFile}` : `127.0.0.1:${port}`,
    port,
    pid: server.pid as number,
    stats: async () => parseStats(await ask(target, 'stats')),
    async stop() {
      server.kill();
      await server;
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}
