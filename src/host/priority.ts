import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import type { Priority } from '../results/schema.js';

/**
 * The highest there is. At -10, beside a dozen busy sessions, others had 40 % of the time of a pair of processes that take
 * turns (a server and a client that hand over batches), and 3 % of that of a pair that are both always busy; at -20 they
 * had 2 % of either.
 */
const level = -20;

const autogroupFile = '/proc/self/autogroup';

/**
 * Raise the priority of this process and of all that it starts from now on, which must be a session of its own. Sessions
 * are scheduled against each other (autogroups), so that a process's own nice level means nothing to another session's;
 * where there are no autogroups, it does.
 */
export function raisePriority(): Priority {
  const why = whyNoAutogroups();
  const [kind, raise] =
    why === undefined
      ? (['autogroup', () => writeFileSync(autogroupFile, String(level))] as const)
      : (['nice', () => setPriority(level)] as const);
  try {
    raise();
    return { kind, nice: level, reason: why ?? null };
  } catch (error) {
    return { kind: 'none', nice: 0, reason: (error as Error).message };
  }
}

/** Why sessions are not scheduled against each other here, or undefined. */
function whyNoAutogroups(): string | undefined {
  if (!existsSync(autogroupFile)) return 'this kernel has no autogroups';
  if (readText('/proc/sys/kernel/sched_autogroup_enabled') !== '1') return 'autogroups are off';
  if (inCpuCgroup(readText('/proc/self/cgroup'))) return 'a cgroup shares out the CPUs: it has no autogroups';
  return undefined;
}

/** Whether a cgroup other than the root has this process's share of the CPUs: v1 by its path, v2 by what is in its folder. */
function inCpuCgroup(memberships: string): boolean {
  return memberships.split('\n').some((line) => {
    const [, controllers, path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === '') return existsSync(join('/sys/fs/cgroup', path, 'cpu.weight'));
    return controllers?.split(',').includes('cpu') && path !== '/';
  });
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}

/** A priority in words, for the person who waits. */
export function describePriority({ kind, nice, reason }: Priority): string {
  const why = reason === null ? '' : ` (${reason})`;
  if (kind === 'none') return `measuring at normal priority${why}: what else runs here disturbs it`;
  return `measuring at raised priority, ${kind} ${nice}${why}`;
}
