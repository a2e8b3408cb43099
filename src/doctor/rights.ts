import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { whyNoNamespaces } from '../host/netns.js';
import type { Finding } from './finding.js';

const area = 'rights and hosts';

/** Bits of the capabilities in use, as linux/capability.h numbers them. */
const capabilities = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21, CAP_SYS_NICE: 23 };

/** What this process may do, and whether hosts can be made of network namespaces. */
export async function rightsFindings(): Promise<Finding[]> {
  return [
    userFinding(),
    await namespaceFinding(),
    rpsFinding(),
    ...packetRuleFindings(),
    ...securityModuleFindings(),
  ];
}

/** Modules of packet rules and classes that go by the file of a socket, or by whose descriptor it is. */
const goByFile = ['xt_owner', 'cls_cgroup'];
const goByDescriptor = ['cls_cgroup'];

function isSet(modules: string, parameter: string): boolean {
  const file = join(modules, 'megapipe/parameters', parameter);
  return existsSync(file) && readFileSync(file, 'utf8').startsWith('Y');
}

/** Whether packet rules see lwsockets; nothing where our module isn't loaded. */
export function packetRuleFindings(modules = '/sys/module'): Finding[] {
  if (!existsSync(join(modules, 'megapipe'))) return [];
  const base = { area, name: 'packet rules' } as const;
  if (isSet(modules, 'no_lwsockets')) return [{ ...base, state: 'yes', detail: 'lwsockets are refused' }];
  const blind = isSet(modules, 'lwsocket_file') ? goByDescriptor : goByFile;
  const loaded = blind.filter((name) => existsSync(join(modules, name)));
  if (loaded.length === 0) {
    const detail = `${blind.join(' and ')}, which would not see lwsockets, are not loaded`;
    return [{ ...base, state: 'yes', detail }];
  }
  return [
    {
      ...base,
      state: 'limited',
      detail: `loaded, and blind to lwsockets: ${loaded.join(', ')}`,
      cost: 'rules by owner or class let lwsockets pass, or stop them, as nobody’s',
      remedy: 'load megapipe with no_lwsockets=1, or for xt_owner and skuid with lwsocket_file=1',
    },
  ];
}

/** Security modules that have a say in who accepts. */
const watchAccept = ['selinux', 'apparmor', 'smack', 'tomoyo', 'bpf'];

/** Whether security modules see that lwsockets are accepted; nothing where our module isn't loaded. */
export function securityModuleFindings(
  modules = '/sys/module',
  listed = '/sys/kernel/security/lsm',
): Finding[] {
  if (!existsSync(join(modules, 'megapipe')) || !existsSync(listed)) return [];
  const base = { area, name: 'security modules' } as const;
  if (isSet(modules, 'no_lwsockets')) return [{ ...base, state: 'yes', detail: 'lwsockets are refused' }];
  const active = readFileSync(listed, 'utf8').trim().split(',');
  const blind = watchAccept.filter((name) => active.includes(name));
  if (blind.length === 0) return [{ ...base, state: 'yes', detail: 'none that watches accept()' }];
  return [
    {
      ...base,
      state: 'limited',
      detail: `active, and not asked when lwsockets are accepted: ${blind.join(', ')}`,
      cost: 'a rule against accepting doesn’t stop lwsockets; one against listening does',
      remedy: 'where you have such rules, load megapipe with no_lwsockets=1',
    },
  ];
}

function userFinding(): Finding {
  const missing = missingCapabilities();
  const detail = process.getuid?.() === 0 ? 'root' : `user ${process.getuid?.()}`;
  if (missing.length === 0) return { area, name: 'rights', state: 'yes', detail };
  return {
    area,
    name: 'rights',
    state: 'limited',
    detail: `${detail}, without ${missing.join(', ')}`,
    cost: 'hosts cannot be kept apart, so measurements run over loopback',
    remedy: 'run as root, or grant the capabilities',
  };
}

function missingCapabilities(): string[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const lacks = ([, bit]: [string, number]) => ((effective >> BigInt(bit)) & 1n) === 0n;
  return Object.entries(capabilities)
    .filter(lacks)
    .map(([name]) => name);
}

async function namespaceFinding(): Promise<Finding> {
  const why = await whyNoNamespaces();
  const base = { area, name: 'network namespaces' } as const;
  if (!why) return { ...base, state: 'yes', detail: 'namespaces and veth pairs can be made and entered' };
  return {
    ...base,
    state: 'no',
    detail: why.trim().replaceAll('\n', ' '),
    cost: 'server and clients share one network stack: measurements run over loopback',
    remedy: 'run as root with iproute2 installed; in a container, with CAP_SYS_ADMIN and CAP_NET_ADMIN',
  };
}

function rpsFinding(): Finding {
  const file = '/sys/class/net/lo/queues/rx-0/rps_cpus';
  const base = { area, name: 'RPS' } as const;
  if (!existsSync(file)) {
    const cost = 'softirq work cannot be pinned: it lands on whichever CPU sent the packet';
    return { ...base, state: 'no', detail: 'this kernel has no receive packet steering', cost };
  }
  if (isWritable(file)) return { ...base, state: 'yes', detail: 'softirq work can be pinned to CPUs' };
  const cost = 'softirq work cannot be pinned: it lands on whichever CPU sent the packet';
  return {
    ...base,
    state: 'no',
    detail: 'not ours to set',
    cost,
    remedy: 'run as root with a writable /sys',
  };
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
