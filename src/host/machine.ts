import { readdirSync, readFileSync } from 'node:fs';
import { arch, cpus, totalmem } from 'node:os';
import { execa } from 'execa';
import type { z } from 'zod';
import { root } from '../base/paths.js';
import type { Port } from '../port/port.js';
import type { machineDescription } from '../results/schema.js';

/** What is the same for all of a run, so that a reader can tell what its numbers are worth. */
export type MachineDescription = z.infer<typeof machineDescription>;

/** @param port what is measured, whose version is part of the description */
export async function describeMachine(port?: Pick<Port, 'name' | 'version'>): Promise<MachineDescription> {
  return {
    kernel: readText('/proc/sys/kernel/osrelease'),
    distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(readText('/etc/os-release'))?.[1] ?? 'unknown',
    architecture: arch(),
    cpuModel: cpuModel(),
    cpus: cpus().length,
    memoryBytes: totalmem(),
    virtualization: await virtualization(),
    versions: {
      ...(port ? { [port.name]: port.version } : {}),
      node: process.versions.node,
    },
    sysctls: Object.fromEntries(sysctls.map((name) => [name, readText(sysctlFile(name))])),
    mitigations: mitigations(),
    commit:
      (await output(['git', '-C', root, 'describe', '--always', '--dirty', '--abbrev=12'])) || 'unknown',
  };
}

/** Those that short connections, softirq placement and io_uring depend on. */
const sysctls = [
  'kernel.io_uring_disabled',
  'net.core.somaxconn',
  'net.core.netdev_max_backlog',
  'net.core.busy_poll',
  'net.core.busy_read',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_congestion_control',
  'net.ipv4.tcp_max_syn_backlog',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_tw_reuse',
  'net.ipv4.tcp_wmem',
];

function sysctlFile(name: string): string {
  return `/proc/sys/${name.replaceAll('.', '/')}`;
}

/** Some machines do not name their CPU in words; then its numbers have to do. */
function cpuModel(): string {
  const info = readText('/proc/cpuinfo');
  const field = (name: string) => new RegExp(`^${name}\\s*:\\s*(.+)$`, 'm').exec(info)?.[1];
  const name = field('model name');
  const numbers = [field('vendor_id'), `family ${field('cpu family')}`, `model ${field('model')}`].join(' ');
  return name && name !== 'unknown' ? name : numbers;
}

function mitigations(): Record<string, string> {
  const directory = '/sys/devices/system/cpu/vulnerabilities';
  const all = listFiles(directory).map((name) => [name, readText(`${directory}/${name}`)] as const);
  return Object.fromEntries(all.filter(([, state]) => state !== 'Not affected'));
}

/** The hypervisor, and the container in it: `kvm, docker`. */
async function virtualization(): Promise<string> {
  const kinds = await Promise.all(
    ['--vm', '--container'].map((kind) => output(['systemd-detect-virt', kind])),
  );
  if (kinds.every((kind) => kind === '')) return 'unknown';
  return kinds.filter((kind) => kind !== 'none' && kind !== '').join(', ') || 'none';
}

async function output([file, ...args]: [string, ...string[]]): Promise<string> {
  const { stdout } = await execa(file, args, { reject: false });
  return stdout?.trim() ?? '';
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Absent on kernels that have no such setting. */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim().replaceAll('\t', ' ');
  } catch {
    return 'absent';
  }
}
