import { readFileSync } from 'node:fs';
import type { Host, TopologyName, TopologyRecord } from './results.js';
import { makeNamespaces, type Namespaces, whyNoNamespaces } from './topology-netns.js';

/** Where server and client of a sample live, ready for use. */
export type Topology = {
  record: TopologyRecord;
  /** The command line that runs a command as the server's, or the client's, host. The process keeps its pid. */
  onServer(command: string[]): string[];
  onClient(command: string[]): string[];
  /** Have the packets that reach the server's host handled on these of its CPUs, where that can be chosen. */
  steerServer(cpus: number[]): Promise<void>;
  remove(): Promise<void>;
};

const descriptions: Record<TopologyName, string> = {
  loopback:
    'one host: the server and the clients run on all CPUs and talk over the loopback interface, where the kernel ' +
    'handles a packet on the CPU that sent it',
  'one-core':
    'one host: the server and the clients share a single CPU and talk over the loopback interface, so that no wake-up ' +
    'crosses CPUs and all work is on one account',
  netns:
    'two hosts: network namespaces joined by a veth pair; server and clients have CPUs of their own, and each ' +
    'host’s packets are handled on its own CPUs (RPS)',
  'netns-shared':
    'two hosts: network namespaces joined by a veth pair; both run on all CPUs, and packets are spread over them ' +
    'by a hash of the flow (RPS), as a network card with several queues does',
  'netns-3':
    'four hosts: network namespaces on a bridge, a server and three client machines; server and clients have CPUs of ' +
    'their own, and each host’s packets are handled on its own CPUs (RPS)',
};

/** Why a topology can't be had here, or undefined. */
export async function whyNoTopology(name: TopologyName): Promise<string | undefined> {
  if (isOneHost(name)) return undefined;
  if (name === 'netns-3') return 'it is not there yet';
  if (name === 'netns' && allowedCpus().length < 2) {
    return 'separate hosts need at least two CPUs, and this process may use one';
  }
  return whyNoNamespaces();
}

/** Make a topology; whoever calls this must remove it, on failure too. */
export async function makeTopology(name: TopologyName): Promise<Topology> {
  const record = describeTopology(name);
  const namespaces = isOneHost(name)
    ? undefined
    : await makeNamespaces({ server: record.server, client: record.clients[0] as Host });
  const on = (side: keyof Namespaces['names'], host: Host) => (command: string[]) => [
    ...(namespaces ? ['ip', 'netns', 'exec', namespaces.names[side]] : []),
    ...pinned(host.cpus, command),
  ];
  return {
    record,
    onServer: on('server', record.server),
    onClient: on('client', record.clients[0] as Host),
    steerServer: async (cpus) => namespaces?.steer('server', cpus),
    remove: async () => namespaces?.remove(),
  };
}

/** The command, confined to some CPUs; it replaces taskset and so keeps its pid. */
export function pinned(cpus: number[], command: string[]): string[] {
  return ['taskset', '-c', cpus.join(','), ...command];
}

const isOneHost = (name: TopologyName) => name === 'loopback' || name === 'one-core';

/** What a topology looks like on this machine. */
export function describeTopology(name: TopologyName): TopologyRecord {
  const cpus = name === 'one-core' ? allowedCpus().slice(0, 1) : allowedCpus();
  const half = Math.max(1, Math.floor(cpus.length / 2));
  const separate = name === 'netns';
  const [serverAddress, clientAddress] = isOneHost(name)
    ? ['127.0.0.1', '127.0.0.1']
    : ['10.77.0.1', '10.77.0.2'];
  return {
    name,
    description: descriptions[name],
    sharesCpus: !separate,
    server: host(serverAddress as string, separate ? cpus.slice(0, half) : cpus),
    clients: [host(clientAddress as string, separate ? cpus.slice(half) : cpus)],
  };
}

function host(address: string, cpus: number[]): Host {
  return { address, cpus, threads: cpus.length };
}

/** The CPUs that this process may use. */
export function allowedCpus(): number[] {
  const line = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return parseCpuList(line?.[1] ?? '0');
}

/** The kernel's list format: `0-2,5`. */
export function parseCpuList(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
