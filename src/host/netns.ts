import { execa } from 'execa';
import { UserError } from '../base/errors.js';
import type { Host } from '../results/schema.js';
import { isAlive } from './alive.js';

/** A server's namespace and its clients': joined by a veth pair, or where there are several clients by a bridge. */
export type Namespaces = {
  server: string;
  clients: string[];
  /** Have the packets that reach the server handled on these CPUs. */
  steerServer(cpus: number[]): Promise<void>;
  remove(): Promise<void>;
};

/** A host's interface has the same name in each namespace. */
const link = 'veth0';
const bridge = 'bridge0';

/** Namespaces carry the pid of the process that made them, so that those of a process that died can be found. */
const namePattern = /^megapipe-(\d+)-(?:server|client\d*|bridge|probe)$/;

/**
 * Why network namespaces can't be had here, or undefined: found out by making one, and a veth pair, and entering it.
 *
 * @param clients with several a bridge is needed, too
 */
export async function whyNoNamespaces(clients = 1): Promise<string | undefined> {
  const name = `megapipe-${process.pid}-probe`;
  const steps = [
    ['netns', 'add', name],
    ['-n', name, 'link', 'add', link, 'type', 'veth', 'peer', 'name', `${link}peer`],
    ...(clients > 1 ? [['-n', name, 'link', 'add', bridge, 'type', 'bridge']] : []),
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
export async function makeNamespaces(server: Host, clients: Host[]): Promise<Namespaces> {
  await removeStaleNamespaces();
  const hosts = [
    { name: nameOf('server'), host: server },
    ...clients.map((host, i) => ({ name: nameOf(clients.length === 1 ? 'client' : `client${i + 1}`), host })),
  ];
  const names = hosts.map(({ name }) => name);
  const made = clients.length === 1 ? names : [...names, nameOf('bridge')];
  try {
    for (const name of made) await ip('netns', 'add', name);
    if (clients.length === 1) await pair(names[0] as string, link, names[1] as string);
    else await joinByBridge(names, nameOf('bridge'));
    for (const { name, host } of hosts) await bringUp(name, host);
  } catch (error) {
    await removeNamespaces(made);
    throw error;
  }
  return {
    server: names[0] as string,
    clients: names.slice(1),
    steerServer: (cpus) => steer(names[0] as string, cpus),
    remove: () => removeNamespaces(made),
  };
}

function nameOf(part: string): string {
  return `megapipe-${process.pid}-${part}`;
}

/** A veth pair: one end in a namespace under a name, the other in a host's namespace. */
async function pair(namespace: string, name: string, host: string): Promise<void> {
  const [near, far] = [
    ['netns', namespace],
    ['netns', host],
  ] as const;
  await ip('link', 'add', name, ...near, 'type', 'veth', 'peer', 'name', link, ...far);
}

/** A switch in a namespace of its own. What it does is done on the CPU that sent the packet: it has none itself. */
async function joinByBridge(hosts: string[], namespace: string): Promise<void> {
  await ip('-n', namespace, 'link', 'add', bridge, 'type', 'bridge');
  await ip('-n', namespace, 'link', 'set', bridge, 'up');
  for (const [i, host] of hosts.entries()) {
    await pair(namespace, `port${i}`, host);
    await ip('-n', namespace, 'link', 'set', `port${i}`, 'master', bridge, 'up');
  }
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
