import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { NetConnectOpts } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { loadPort, serverBinary } from '../../../src/port/port.js';
import { connect } from '../../memcached/connection.js';
import { type Certificate, makeCertificate } from '../../nginx/certificate.js';
import { untilDone } from '../../waiting.js';
import type { Side } from '../subject.js';
import type { MemcachedScenario } from './scenario.js';

export type RunningMemcached = {
  pid: number;
  to: NetConnectOpts;
  tls?: Record<string, never>;
  udpPort: number;
  hasEnded(): boolean;
  /** How it ended, and what it said. */
  ended: Promise<{ status: string; output: string }>;
  remove(): void;
};

/** UDP is beside plain TCP only. */
const hasUdp = ({ udp, transport }: MemcachedScenario) => udp && transport === 'tcp';

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

function argumentsOf(
  side: Side,
  scenario: MemcachedScenario,
  socketFile: string,
  certificate?: Certificate,
): string[] {
  const { threads, connections, megabytes, requestsPerEvent, idleTimeout, itemMegabytes } = scenario;
  const listen =
    scenario.transport === 'unix'
      ? ['-s', socketFile]
      : ['-l', '127.0.0.1', '-p', '-1', '-U', hasUdp(scenario) ? '-1' : '0'];
  const tls = certificate ? [`ssl_chain_cert=${certificate.cert}`, `ssl_key=${certificate.key}`] : [];
  const options = [`idle_timeout=${idleTimeout}`, ...tls, ...megapipeOptions(side, scenario)];
  const limits = { t: threads, c: connections, m: megabytes, R: requestsPerEvent, I: `${itemMegabytes}m` };
  const numbers = Object.entries(limits).flatMap(([name, value]) => [`-${name}`, `${value}`]);
  const user = ['-u', userInfo().username];
  return [...user, ...listen, ...numbers, ...(certificate ? ['-Z'] : []), '-o', options.join(',')];
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
  const certificate = scenario.transport === 'tls' ? await makeCertificate(folder) : undefined;
  const process = execa(binary, argumentsOf(side, scenario, socketFile, certificate), {
    env: { MEMCACHED_PORT_FILENAME: portFile },
    reject: false,
    all: true,
    stdin: 'ignore',
  });
  const hasEnded = () => process.exitCode !== null || process.signalCode !== null;
  const ready = async () => {
    if (scenario.transport !== 'unix') return { host: '127.0.0.1', port: portIn(portFile, 'TCP') };
    (await connect({ path: socketFile })).destroy();
    return { path: socketFile };
  };
  const to = await untilDone(ready, async () => {
    if (hasEnded()) throw new Error(`memcached did not start: ${(await process).all}`);
  });
  return {
    pid: process.pid as number,
    to,
    ...(certificate && { tls: {} }),
    udpPort: hasUdp(scenario) ? portIn(portFile, 'UDP') : 0,
    hasEnded,
    ended: process.then(({ exitCode, signal, all }) => ({
      status: `${exitCode ?? signal}`,
      output: all ?? '',
    })),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
