import { disturbingShare } from '../metrics/metrics.js';
import type { CpuUse, TopologyRecord } from '../results/schema.js';

/** The CPUs of a window, and what of their time was ours. */
type Window = {
  /** How they spent it. */
  spent: CpuUse[];
  /** Their counters when it began. */
  since: CpuUse[];
  sampledUs: number;
  /** CPU time of the server and of its clients. */
  oursUs: number;
  /** The CPUs that the sample runs on. */
  cpus: number[];
};

/**
 * What share of the CPUs others had: all that was not idle and not ours; what a hypervisor took away, too. Where the
 * kernel keeps interrupts' time apart from that of the process that they interrupt, it is ours: on loopback and between
 * namespaces all packets are. (Where it does not, it is in our processes' own time already, and its counter of
 * interrupts stays 0.)
 */
export function othersShare({ spent, since, sampledUs, oursUs, cpus }: Window): number {
  const own = spent.filter(({ cpu }) => cpus.includes(cpu));
  const apart = since.some(({ irqUs }) => irqUs > 0);
  const othersUs = own.map(
    ({ idleUs, irqUs, softirqUs }) => sampledUs - idleUs - (apart ? irqUs + softirqUs : 0),
  );
  const busyUs = othersUs.reduce((sum, us) => sum + us, 0);
  return Math.min(1, Math.max(0, (busyUs - oursUs) / (own.length * sampledUs)));
}

/** Whether others had so much that a sample is taken again. */
export const isDisturbed = (share: number) => share > disturbingShare;

/** The CPUs that servers or clients of a topology run on. */
export function cpusOf({ server, clients }: TopologyRecord): number[] {
  return [...new Set([server, ...clients].flatMap(({ cpus }) => cpus))];
}
