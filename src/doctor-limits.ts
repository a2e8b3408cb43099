import { readFileSync } from 'node:fs';
import type { Finding } from './doctor.js';

const area = 'limits';

/** Enough for 10,000 connections, each with a hidden descriptor, and their listeners. */
const wantedFiles = 65_536;
const wantedBacklog = 4_096;
const wantedPorts = 20_000;

/** Limits of the kernel and the process that cut a load short. */
export async function limitFindings(): Promise<Finding[]> {
  return [filesFinding(), backlogFinding(), portsFinding()];
}

function filesFinding(): Finding {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits)?.[2] ?? '0';
  const files = hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
  const base = { area, name: 'RLIMIT_NOFILE', detail: `${hard} open files at most` } as const;
  if (files >= wantedFiles) return { ...base, state: 'yes' };
  return {
    ...base,
    state: 'limited',
    cost: `at most ${files} connections and lwsockets at once; tests of 10,000 connections may be skipped`,
    remedy: `ulimit -n ${wantedFiles}`,
  };
}

function backlogFinding(): Finding {
  const backlog = Number(sysctl('net/core/somaxconn'));
  const base = { area, name: 'somaxconn', detail: `${backlog} connections wait for accept at most` } as const;
  if (backlog >= wantedBacklog) return { ...base, state: 'yes' };
  const cost = 'bursts of new connections are dropped, and come again a second later';
  return { ...base, state: 'limited', cost, remedy: `sysctl net.core.somaxconn=${wantedBacklog}` };
}

function portsFinding(): Finding {
  const [first = 0, last = 0] = sysctl('net/ipv4/ip_local_port_range').split(/\s+/).map(Number);
  const ports = last - first + 1;
  const base = { area, name: 'local ports', detail: `${ports}, from ${first} to ${last}` } as const;
  if (ports >= wantedPorts) return { ...base, state: 'yes' };
  const cost =
    'connections ended by FIN hold their port for a minute: at few requests a connection ports run out';
  return { ...base, state: 'limited', cost, remedy: 'sysctl net.ipv4.ip_local_port_range="1024 65535"' };
}

function sysctl(name: string): string {
  return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
}
