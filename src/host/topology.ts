import { allowedCpus } from '../base/cpus.js';
import type { Host, TopologyName, TopologyRecord } from '../results/schema.js';
import { whyNoNats } from './nats-server.js';
import { makeNamespaces, whyNoNamespaces } from './netns.js';

/** Makes a command one that runs on a host. */
export type OnHost = (command: string[]) => string[];

/** Where server and clients of a sample live, ready for use. */
export type Topology = {
  record: TopologyRecord;
  /** The command line that runs a command on the server's host. The process keeps its pid. */
  onServer: OnHost;
  /** The same for each client's host. */
  onClients: [OnHost, ...OnHost[]];
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
    'crosses CPUs; neither interrupts the other when there is something to do for it (SCHED_BATCH), so that work piles ' +
    'up as it does for a server that is busy',
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
  if (isSeparate(name) && allowedCpus().length < 2) {
    return 'separate hosts need at least two CPUs, and this process may use one';
  }
  return (clientsOf(name) > 1 ? whyNoNats() : undefined) ?? (await whyNoNamespaces(clientsOf(name)));
}

/** Make a topology; whoever calls this must remove it, on failure too. */
export async function makeTopology(name: TopologyName): Promise<Topology> {
  const record = describeTopology(name);
  const namespaces = isOneHost(name) ? undefined : await makeNamespaces(record.server, record.clients);
  const on =
    (namespace: string | undefined, { cpus }: Host): OnHost =>
    (command) => [
      ...(namespace ? ['ip', 'netns', 'exec', namespace] : []),
      ...pinned(cpus, name === 'one-core' ? unhurried(command) : command),
    ];
  const [first, ...others] = record.clients.map((host, i) => on(namespaces?.clients[i], host));
  return {
    record,
    onServer: on(namespaces?.server, record.server),
    onClients: [first as OnHost, ...others],
    steerServer: async (cpus) => namespaces?.steerServer(cpus),
    remove: async () => namespaces?.remove(),
  };
}

/** The command, confined to some CPUs; it replaces taskset and so keeps its pid. */
export function pinned(cpus: number[], command: string[]): string[] {
  return ['taskset', '-c', cpus.join(','), ...command];
}

/** The command, whose wake-ups interrupt nobody; it replaces chrt and so keeps its pid. */
function unhurried(command: string[]): string[] {
  return ['chrt', '--batch', '0', ...command];
}

const isOneHost = (name: TopologyName) => name === 'loopback' || name === 'one-core';

/** Whether server and clients have CPUs of their own. */
const isSeparate = (name: TopologyName) => name === 'netns' || name === 'netns-3';

/** Client machines; the paper had three. */
const clientsOf = (name: TopologyName) => (name === 'netns-3' ? 3 : 1);

/** What a topology looks like on this machine. */
export function describeTopology(name: TopologyName): TopologyRecord {
  const cpus = name === 'one-core' ? allowedCpus().slice(0, 1) : allowedCpus();
  const half = Math.max(1, Math.floor(cpus.length / 2));
  const separate = isSeparate(name);
  const address = (index: number) => (isOneHost(name) ? '127.0.0.1' : `10.77.0.${index + 1}`);
  const clientCpus = dealt(separate ? cpus.slice(half) : cpus, clientsOf(name));
  return {
    name,
    description: descriptions[name],
    sharesCpus: !separate,
    server: host(address(0), separate ? cpus.slice(0, half) : cpus),
    clients: clientCpus.map((own, i) => host(address(i + 1), own)),
  };
}

/** CPUs in as many runs as there are hosts, as even as can be; where there are fewer than hosts, all share them all. */
export function dealt(cpus: number[], hosts: number): number[][] {
  const from = (index: number) => Math.floor((index * cpus.length) / hosts);
  return Array.from({ length: hosts }, (_, i) =>
    cpus.length < hosts ? cpus : cpus.slice(from(i), from(i + 1)),
  );
}

function host(address: string, cpus: number[]): Host {
  return { address, cpus, threads: cpus.length };
}
