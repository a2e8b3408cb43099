import { execa } from 'execa';
import { isAlive } from './alive.js';
import { UserError } from './errors.js';
import type { Host } from './results.js';

/** Two namespaces joined by a veth pair. */
export type Namespaces = {
  names: Record<Side, string>;
  /** Have the packets that reach a side handled on these CPUs. */
  steer(side: Side, cpus: number[]): Promise<void>;
  remove(): Promise<void>;
};

type Side = 'server' | 'client';
const sides: readonly Side[] = ['server', 'client'];

/** The interface has the same name in each namespace. */
const link = 'veth0';

/** Namespaces carry the pid of the process that made them, so that those of a process that died can be found. */
const namePattern = /^megapipe-(\d+)-(?:server|client|probe)$/;

/** Why network namespaces can't be had here, or undefined: found out by making one, and a veth pair, and entering it. */
export async function whyNoNamespaces(): Promise<string | undefined> {
  const name = `megapipe-${process.pid}-probe`;
  const steps = [
    ['netns', 'add', name],
    ['-n', name, 'link', 'add', link, 'type', 'veth', 'peer', 'name', `${link}peer`],
    ['netns', 'exec', name, 'true'],
  ];
  try {
    for (const step of steps) {
      const tried = await execa('ip', step, { reject: false });
      if (tried.failed) return tried.stderr || tried.shortMessage || `ip ${step.join(' ')} failed`;
    }
    return undefined;
  } finally {
    await execa('ip', ['netns', 'delete', name], { reject: false });
  }
}

/** Make and join the namespaces; packets that reach a host are handled on that host's CPUs. */
export async function makeNamespaces(hosts: Record<Side, Host>): Promise<Namespaces> {
  await removeStaleNamespaces();
  const names = { server: nameOf('server'), client: nameOf('client') };
  try {
    for (const side of sides) await ip('netns', 'add', names[side]);
    await ip(
      'link',
      'add',
      link,
      'netns',
      names.server,
      'type',
      'veth',
      'peer',
      'name',
      link,
      'netns',
      names.client,
    );
    for (const side of sides) await bringUp(names[side], hosts[side]);
  } catch (error) {
    await removeNamespaces(Object.values(names));
    throw error;
  }
  return {
    names,
    steer: (side, cpus) => steer(names[side], cpus),
    remove: () => removeNamespaces(Object.values(names)),
  };
}

function nameOf(side: Side): string {
  return `megapipe-${process.pid}-${side}`;
}

async function bringUp(namespace: string, host: Host): Promise<void> {
  await ip('-n', namespace, 'address', 'add', `${host.address}/24`, 'dev', link);
  await ip('-n', namespace, 'link', 'set', 'lo', 'up');
  await ip('-n', namespace, 'link', 'set', link, 'up');
  await steer(namespace, host.cpus);
}

async function steer(namespace: string, cpus: number[]): Promise<void> {
  const script = `for queue in /sys/class/net/${link}/queues/rx-*; do echo ${cpuMask(cpus)} > "$queue/rps_cpus" || exit; done`;
  await ip('netns', 'exec', namespace, 'sh', '-c', script);
}

/** The kernel's mask format: hexadecimal words of 32 CPUs, the highest first. */
export function cpuMask(cpus: number[]): string {
  const words = Math.floor(Math.max(...cpus) / 32) + 1;
  const word = (index: number) =>
    cpus.filter((cpu) => Math.floor(cpu / 32) === index).reduce((sum, cpu) => sum + 2 ** (cpu % 32), 0);
  const all = Array.from({ length: words }, (_, index) => word(words - 1 - index));
  return all.map((value, index) => value.toString(16).padStart(index === 0 ? 1 : 8, '0')).join(',');
}

/** Remove what a process that is no longer there left behind, its servers and clients with it. */
export async function removeStaleNamespaces(): Promise<void> {
  const { stdout } = await execa('ip', ['netns', 'list'], { reject: false });
  const names = stdout.split('\n').map((line) => line.split(' ')[0] ?? '');
  await removeNamespaces(names.filter((name) => isStale(name)));
}

function isStale(name: string): boolean {
  const pid = namePattern.exec(name)?.[1];
  return pid !== undefined && !isAlive(Number(pid));
}

/** A namespace lives as long as a process in it, so those go first; all of them were started by us. */
async function removeNamespaces(names: string[]): Promise<void> {
  for (const name of names) {
    const { stdout } = await execa('ip', ['netns', 'pids', name], { reject: false });
    for (const pid of stdout.split('\n').filter(Boolean)) kill(Number(pid));
    await execa('ip', ['netns', 'delete', name], { reject: false });
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function ip(...args: string[]): Promise<void> {
  const result = await execa('ip', args, { reject: false });
  if (!result.failed) return;
  throw new UserError(
    `cannot make a network namespace: ip ${args.join(' ')}: ${result.stderr || result.shortMessage}`,
    {
      hint: 'use --topology loopback',
    },
  );
}
