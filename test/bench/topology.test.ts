import { execa } from 'execa';
import { afterEach, describe, expect, test } from 'vitest';
import { allowedCpus, parseCpuList } from '../../src/base/cpus.js';
import { cpuMask, removeStaleNamespaces } from '../../src/host/netns.js';
import { dealt, makeTopology, type OnHost, type Topology, whyNoTopology } from '../../src/host/topology.js';
import type { Host, TopologyName } from '../../src/results/schema.js';
import { testUnless } from '../skip.js';

const made: Topology[] = [];

afterEach(async () => {
  for (const topology of made.splice(0)) await topology.remove();
});

async function make(name: TopologyName): Promise<Topology> {
  const topology = await makeTopology(name);
  made.push(topology);
  return topology;
}

async function run(command: string[]): Promise<string> {
  const [file, ...args] = command as [string, ...string[]];
  return (await execa(file, args)).stdout;
}

/** The host has its address, its CPUs, and its packets handled on them. */
async function expectHost(on: OnHost, host: Host): Promise<void> {
  expect(await run(on(['ip', '-br', 'address', 'show', 'veth0']))).toContain(host.address);
  const status = await run(on(['cat', '/proc/self/status']));
  expect(parseCpuList(/Cpus_allowed_list:\s*(\S+)/.exec(status)?.[1] ?? '')).toEqual(host.cpus);
  const mask = await run(on(['sh', '-c', 'cat /sys/class/net/veth0/queues/rx-*/rps_cpus']));
  expect(BigInt(`0x${mask.split('\n')[0]?.replaceAll(',', '')}`)).toBe(
    BigInt(`0x${cpuMask(host.cpus).replaceAll(',', '')}`),
  );
}

/** Nothing listens there: that the host itself says so shows that packets go both ways. */
async function expectReach(on: OnHost, host: Host): Promise<void> {
  const [file, ...args] = on(['bash', '-c', `exec 3<>/dev/tcp/${host.address}/9 || true`]) as [
    string,
    ...string[],
  ];
  const { stderr } = await execa(file, args, { reject: false, timeout: 120_000 });
  expect(stderr).toContain('Connection refused');
}

/** Those of a process's making: others on the machine may measure, too. */
async function namespaces(maker = process.pid): Promise<string[]> {
  const { stdout } = await execa('ip', ['netns', 'list']);
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name.startsWith(`megapipe-${maker}-`));
}

describe('CPU lists and masks', () => {
  test('reads the kernel’s list format', () => {
    expect(parseCpuList('0-2,5')).toEqual([0, 1, 2, 5]);
    expect(parseCpuList('3')).toEqual([3]);
  });

  test('writes the kernel’s mask format, in words of 32 CPUs', () => {
    expect(cpuMask([0])).toBe('1');
    expect(cpuMask([1, 3])).toBe('a');
    expect(cpuMask([31])).toBe('80000000');
    expect(cpuMask([0, 32])).toBe('1,00000001');
    expect(cpuMask([64])).toBe('1,00000000,00000000');
  });
});

describe('one core', () => {
  test('is the same for server and clients, and neither interrupts the other', async () => {
    const { record, onServer, onClients } = await make('one-core');
    expect(record.server.cpus).toEqual(allowedCpus().slice(0, 1));
    for (const on of [onServer, ...onClients]) {
      const said = await run(on(['sh', '-c', 'chrt --pid $$; taskset -c -p $$']));
      expect(said).toContain('SCHED_BATCH');
      expect(said).toMatch(new RegExp(`list: ${record.server.cpus[0]}$`));
    }
  });
});

describe('the clients’ CPUs', () => {
  test('are dealt to hosts, or shared where there are fewer', () => {
    expect(dealt([4, 5, 6, 7], 3)).toEqual([[4], [5], [6, 7]]);
    expect(dealt([1, 2, 3], 1)).toEqual([[1, 2, 3]]);
    expect(dealt([1, 2], 3)).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
  });
});

describe('loopback', () => {
  test('is one host whose server and client share all CPUs', async () => {
    const { record } = await make('loopback');
    expect(record.sharesCpus).toBe(true);
    expect(record.server.cpus).toEqual(allowedCpus());
    expect(record.clients[0]?.cpus).toEqual(allowedCpus());
    expect(record.server.address).toBe(record.clients[0]?.address);
  });
});

const noNamespaces = await whyNoTopology('netns-shared');
const noSeparateHosts = await whyNoTopology('netns');

describe('network namespaces', () => {
  testUnless(noSeparateHosts)('give server and client their own addresses and CPUs', async () => {
    const { record, onServer, onClients } = await make('netns');
    expect(record.sharesCpus).toBe(false);
    const [client] = record.clients as [Host];
    expect([...record.server.cpus, ...client.cpus].sort()).toEqual(allowedCpus());
    for (const [on, host] of [
      [onServer, record.server],
      [onClients[0], client],
    ] as const) {
      await expectHost(on, host);
    }
  });

  testUnless(noNamespaces)('let the client reach the server', async () => {
    const { record, onClients } = await make('netns-shared');
    await expectReach(onClients[0], record.server);
  });

  testUnless(noSeparateHosts)('give three clients a host each, and all reach the server', async () => {
    const { record, onServer, onClients } = await make('netns-3');
    expect(onClients).toHaveLength(3);
    expect(new Set([record.server, ...record.clients].map(({ address }) => address)).size).toBe(4);
    const clientCpus = new Set(record.clients.flatMap(({ cpus }) => cpus));
    expect([...record.server.cpus, ...clientCpus].sort()).toEqual(allowedCpus());
    for (const [i, on] of [onServer, ...onClients].entries()) {
      const host = [record.server, ...record.clients][i] as Host;
      await expectHost(on, host);
      await expectReach(on, record.server);
    }
  });

  testUnless(noNamespaces)('are gone after removal, with what still runs in them', async () => {
    const before = await namespaces();
    const topology = await makeTopology('netns-shared');
    const [file, ...args] = topology.onServer(['sleep', '600']) as [string, ...string[]];
    const sleeper = execa(file, args, { reject: false });
    await expect
      .poll(async () => run(['ip', 'netns', 'pids', `megapipe-${process.pid}-server`]))
      .toBe(String(sleeper.pid));
    await topology.remove();
    expect((await sleeper).signal).toBe('SIGKILL');
    expect(await namespaces()).toEqual(before);
  });

  testUnless(noNamespaces)('are gone after a failure halfway', async () => {
    const before = await namespaces();
    const inTheWay = `megapipe-${process.pid}-client`;
    await execa('ip', ['netns', 'add', inTheWay]);
    await expect(makeTopology('netns-shared')).rejects.toThrow(
      /cannot make a network namespace: ip netns add/,
    );
    expect(await namespaces()).toEqual(before);
  });

  testUnless(noNamespaces)('of a process that died are removed, those of a living one are not', async () => {
    const deadPid = await endedPid();
    await execa('ip', ['netns', 'add', `megapipe-${deadPid}-server`]);
    await execa('ip', ['netns', 'add', `megapipe-${process.ppid}-server`]);
    try {
      await removeStaleNamespaces();
      expect(await namespaces(deadPid)).toEqual([]);
      expect(await namespaces(process.ppid)).toContain(`megapipe-${process.ppid}-server`);
    } finally {
      await execa('ip', ['netns', 'delete', `megapipe-${process.ppid}-server`]);
    }
  });
});

/** The pid of a process that has ended and been reaped. */
async function endedPid(): Promise<number> {
  const child = execa('true');
  await child;
  return child.pid as number;
}
