import { readFileSync } from 'node:fs';
import type { CpuUse } from '../results/schema.js';

/** The kernel reports CPU time to user space in hundredths of a second (USER_HZ), on every architecture we run on. */
const tickUs = 10_000;

/** CPU time that a process and its threads have used so far, user and system. */
export function processCpuUs(pid: number): number {
  return parseProcessCpuUs(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** The command name is in brackets and may itself hold brackets and spaces: fields count from the last bracket. */
export function parseProcessCpuUs(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [Number(fields[11]), Number(fields[12])];
  return (user + system) * tickUs;
}

/** How each CPU has spent its time so far. */
export function readCpus(): CpuUse[] {
  return parseCpus(readFileSync('/proc/stat', 'utf8'));
}

export function parseCpus(stat: string): CpuUse[] {
  return [...stat.matchAll(/^cpu(\d+) (.+)$/gm)].map(([, cpu, counters]) => {
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = (
      counters as string
    )
      .split(' ')
      .map((ticks) => Number(ticks) * tickUs);
    return {
      cpu: Number(cpu),
      userUs: user + nice,
      systemUs: system,
      irqUs: irq,
      softirqUs: softirq,
      idleUs: idle + iowait,
      stealUs: steal,
    };
  });
}

/** What was spent between two readings. The kernel's idle counter may step back by a tick: that is no time at all. */
export function cpusBetween(before: CpuUse[], after: CpuUse[]): CpuUse[] {
  return after.map((now) => {
    const then = before.find(({ cpu }) => cpu === now.cpu);
    const spent = (key: Exclude<keyof CpuUse, 'cpu'>) => Math.max(0, now[key] - (then?.[key] ?? 0));
    return {
      cpu: now.cpu,
      userUs: spent('userUs'),
      systemUs: spent('systemUs'),
      irqUs: spent('irqUs'),
      softirqUs: spent('softirqUs'),
      idleUs: spent('idleUs'),
      stealUs: spent('stealUs'),
    };
  });
}
