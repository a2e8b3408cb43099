import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { NetConnectOpts } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { loadPort, serverBinary } from '../../../src/port/port.js';
import { connect } from '../../memcached/connection.js';
import { untilDone } from '../../waiting.js';
import type { Side } from '../subject.js';
import type { MemcachedScenario } from './scenario.js';

export type RunningMemcached = {
  pid: number;
  to: NetConnectOpts;
  udpPort: number;
  hasEnded(): boolean;
  /** How it ended, and what it said. */
  ended: Promise<{ status: string; output: string }>;
  remove(): void;
};

/** A UNIX socket has no UDP beside it. */
export const hasUdp = ({ udp, transport }: MemcachedScenario) => udp && transport === 'tcp';

/** What is asked of MegaPipe; nothing of stock. */
function megapipeOptions(side: Side, { lwsocket, partition }: MemcachedScenario): string[] {
  if (side === 'stock') return [];
  return [
    'megapipe',
    `megapipe_engine=${side}`,
    ...(lwsocket ? [] : ['no_megapipe_lwsocket']),
    ...(partition ? [] : ['no_megapipe_partition']),
  ];
}

function argumentsOf(side: Side, scenario: MemcachedScenario, socketFile: string): string[] {
  const { threads, connections, megabytes, requestsPerEvent, idleTimeout, transport } = scenario;
  const listen =
    transport === 'unix'
      ? ['-s', socketFile]
      : ['-l', '127.0.0.1', '-p', '-1', '-U', scenario.udp ? '-1' : '0'];
  const options = [`idle_timeout=${idleTimeout}`, ...megapipeOptions(side, scenario)];
  const limits = { t: threads, c: connections, m: megabytes, R: requestsPerEvent };
  const numbers = Object.entries(limits).flatMap(([name, value]) => [`-${name}`, `${value}`]);
  return ['-u', userInfo().username, ...listen, ...numbers, '-o', options.join(',')];
}

function portIn(file: string, transport: 'TCP' | 'UDP'): number {
  const port = new RegExp(`^${transport} INET: (\\d+)$`, 'm').exec(readFileSync(file, 'latin1'))?.[1];
  if (port === undefined) throw new Error(`memcached has no ${transport} port yet`);
  return Number(port);
}

/** Start memcached for a scenario. */
export async function startMemcached(side: Side, scenario: MemcachedScenario): Promise<RunningMemcached> {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-differential-'));
  const socketFile = join(folder, 'socket');
  const portFile = join(folder, 'port');
  const binary = serverBinary(loadPort('memcached'), side === 'stock' ? 'baseline' : 'megapipe');
  const process = execa(binary, argumentsOf(side, scenario, socketFile), {
    env: { MEMCACHED_PORT_FILENAME: portFile },
    reject: false,
    all: true,
    stdin: 'ignore',
  });
  const hasEnded = () => process.exitCode !== null || process.signalCode !== null;
  const ready = async () => {
    if (scenario.transport === 'tcp') return { host: '127.0.0.1', port: portIn(portFile, 'TCP') };
    (await connect({ path: socketFile })).destroy();
    return { path: socketFile };
  };
  const to = await untilDone(ready, async () => {
    if (hasEnded()) throw new Error(`memcached did not start: ${(await process).all}`);
  });
  return {
    pid: process.pid as number,
    to,
    udpPort: hasUdp(scenario) ? portIn(portFile, 'UDP') : 0,
    hasEnded,
    ended: process.then(({ exitCode, signal, all }) => ({
      status: `${exitCode ?? signal}`,
      output: all ?? '',
    })),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
