import type { CpuUse, Measured, OkSample, TopologyRecord } from '../results/schema.js';

/** What one sample says, in the units of the report. */
export type Metrics = {
  throughput: number;
  /** CPU time of the server's processes for one request. */
  serverCpuUs: number;
  /** For one second of CPU time of server and clients together: what throughput would be of a machine all theirs. */
  requestsPerCpuS: number;
  /** All that the server's CPUs did for one request, interrupts too; only where those CPUs are the server's alone. */
  hostCpuUs: number | null;
  /** Of the time that the server's CPUs were busy, the part spent in soft interrupts. */
  softirqShare: number;
  serverIdle: number;
  clientIdle: number;
  /** At least this much of the CPUs' time went to processes that are neither server nor client. */
  othersShare: number;
  /** Whether that is so much that throughput and latency say how the machine is shared, not what a server can do. */
  disturbed: boolean;
  p50Us: number;
  p99Us: number;
  service99Us: number;
  /** Null in a closed loop. */
  unsentShare: number | null;
  bandwidth: number | null;
};

/** Below this idle share, a side's CPUs are taken for fully used. */
export const saturatedIdle = 0.05;

/** A sample of which others had more is disturbed; older results don't say so themselves. */
export const disturbingShare = 0.1;

/** What follows from a sample's counts and times. */
export function metricsOf({ measured, disturbed, point }: OkSample, topology: TopologyRecord): Metrics {
  const requestsPerUs = measured.requests / measured.windowUs;
  const serverCpus = pick(measured.cpus, topology.server.cpus.slice(0, point.cores));
  const clientCpus = pick(
    measured.cpus,
    topology.clients.flatMap(({ cpus }) => cpus),
  );
  const busyUs = sum(serverCpus, busy);
  const others = measured.othersShare ?? othersShareOf(measured, topology);
  return {
    throughput: requestsPerUs * 1e6,
    serverCpuUs: measured.serverCpuUs / measured.sampledUs / requestsPerUs,
    requestsPerCpuS:
      ((requestsPerUs * measured.sampledUs) / (measured.serverCpuUs + measured.clientCpuUs)) * 1e6,
    hostCpuUs: topology.sharesCpus ? null : busyUs / measured.sampledUs / requestsPerUs,
    softirqShare: busyUs === 0 ? 0 : sum(serverCpus, ({ softirqUs }) => softirqUs) / busyUs,
    serverIdle: idleShare(serverCpus),
    clientIdle: idleShare(clientCpus),
    othersShare: others,
    disturbed: disturbed || others > disturbingShare,
    p50Us: measured.latencyUs.p50,
    p99Us: measured.latencyUs.p99,
    service99Us: measured.serviceUs.p99,
    unsentShare: point.rate === null ? null : measured.unsent / (measured.unsent + measured.requests),
    bandwidth: point.messageBytes === null ? null : requestsPerUs * 1e6 * 8 * point.messageBytes,
  };
}

/** System calls for one request, from a traced sample: counted and served in the same window. */
export function systemCallsPerRequest({ systemCalls, measured }: OkSample): number | null {
  if (systemCalls === null) return null;
  return systemCalls / measured.sampledUs / (measured.requests / measured.windowUs);
}

/** Wake-ups of the server's threads by another CPU than their own, for 1,000 requests; from a traced sample, too. */
export function remoteWakeUpsPer1000({ remoteWakeUps, measured }: OkSample): number | null {
  if (remoteWakeUps === null) return null;
  return (1000 * remoteWakeUps) / measured.sampledUs / (measured.requests / measured.windowUs);
}

/** Kernel crossings for one request as the channels count them. */
export function crossingsPerRequest({ channels, measured }: OkSample): number | null {
  if (!channels) return null;
  return channels.crossings / measured.sampledUs / (measured.requests / measured.windowUs);
}

/** Channel operations that one crossing carried. */
export function operationsPerCrossing({ channels }: OkSample): number | null {
  return channels && channels.crossings > 0 ? channels.operations / channels.crossings : null;
}

/**
 * As far as older results tell, which had not measured it. A process's time holds the soft interrupts that ran on its
 * account, a CPU's is told apart: on shared CPUs, where the sender's account pays, all of them do; elsewhere only what is
 * surely foreign is counted.
 */
function othersShareOf({ cpus, serverCpuUs, clientCpuUs }: Measured, { sharesCpus }: TopologyRecord): number {
  const spentUs = sum(cpus, (cpu) => (sharesCpus ? busy(cpu) : cpu.userUs + cpu.systemUs));
  const allUs = sum(cpus, (cpu) => busy(cpu) + cpu.idleUs + cpu.stealUs);
  return allUs === 0 ? 0 : Math.max(0, spentUs - serverCpuUs - clientCpuUs) / allUs;
}

function pick(all: CpuUse[], cpus: number[]): CpuUse[] {
  return all.filter(({ cpu }) => cpus.includes(cpu));
}

function busy({ userUs, systemUs, irqUs, softirqUs }: CpuUse): number {
  return userUs + systemUs + irqUs + softirqUs;
}

function idleShare(cpus: CpuUse[]): number {
  const idleUs = sum(cpus, (cpu) => cpu.idleUs);
  const allUs = idleUs + sum(cpus, (cpu) => busy(cpu) + cpu.stealUs);
  return allUs === 0 ? 0 : idleUs / allUs;
}

function sum(cpus: CpuUse[], value: (cpu: CpuUse) => number): number {
  return cpus.reduce((total, cpu) => total + value(cpu), 0);
}
