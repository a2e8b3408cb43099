import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { buildDir } from '../base/paths.js';
import type { Finding } from './finding.js';

const area = 'limits';

/** Enough for 10,000 connections, each with a hidden descriptor, and their listeners. */
const wantedFiles = 65_536;
const wantedBacklog = 4_096;
const wantedPorts = 20_000;
/** As many channels as megapipe-probe makes to find out how many there can be. */
const roomMost = 64;

/** Limits of the kernel and the process that cut a load short. */
export async function limitFindings(): Promise<Finding[]> {
  return [filesFinding(), await channelsFinding(), backlogFinding(), portsFinding()];
}

function filesFinding(): Finding {
  const hard = limitOf('Max open files').hard;
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

/** A channel's rings count as locked memory, for all processes of a user together. */
async function channelsFinding(): Promise<Finding> {
  const { soft } = limitOf('Max locked memory');
  const limit = soft === 'unlimited' ? soft : `${Number(soft) / 1024} KiB`;
  const base = { area, name: 'RLIMIT_MEMLOCK' } as const;
  const probe = join(buildDir, 'libmegapipe/megapipe-probe');
  const { stdout, failed } = await execa(probe, ['room'], { timeout: 30_000, reject: false });
  if (failed) return { ...base, state: 'no', detail: `${limit}; room for how many channels is not known` };
  const room = Number(stdout);
  const least = room === roomMost ? ' or more' : '';
  const detail = `${limit}: room for ${room}${least} channels of engine uring as this user, besides those it has`;
  if (room >= availableParallelism()) return { ...base, state: 'yes', detail };
  return {
    ...base,
    state: 'limited',
    detail,
    cost: 'servers have smaller rings, or engine auto takes epoll: more system calls',
    remedy: 'ulimit -l unlimited, or LimitMEMLOCK=infinity in a systemd unit',
  };
}

function limitOf(name: string): { soft: string; hard: string } {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const [, soft = '0', hard = '0'] = new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(limits) ?? [];
  return { soft, hard };
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
