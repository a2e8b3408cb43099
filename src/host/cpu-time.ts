import { readdirSync, readFileSync } from 'node:fs';
import type { CpuUse } from '../results/schema.js';

/** The kernel reports CPU time to user space in hundredths of a second (USER_HZ), on every architecture we run on. */
const tickUs = 10_000;

/** The CPU time of a process at a moment: of each of its tasks, exactly, and of all it ever had, in ticks. */
export type ProcessTime = { tasksUs: Map<number, number>; tickedUs: number };

export function readProcessTime(pid: number): ProcessTime {
  const tasks = readdirSync(`/proc/${pid}/task`).flatMap((task): [number, number][] => {
    const schedstat = readIfThere(`/proc/${pid}/task/${task}/schedstat`);
    return schedstat === undefined ? [] : [[Number(task), Number(schedstat.split(' ')[0]) / 1000]];
  });
  return { tasksUs: new Map(tasks), tickedUs: parseTickedUs(readFileSync(`/proc/${pid}/stat`, 'utf8')) };
}

/** A difference of two sums of two times, each cut down to a tick. */
const ticksErrorUs = 2 * tickUs;

/**
 * What a process used between two readings. A task that ended took its exact time with it; the ticks, which have it
 * still, then say more than the tasks can, and count.
 */
export function cpuUsBetween(before: ProcessTime, after: ProcessTime): number {
  const exactUs = [...after.tasksUs].reduce((sum, [id, us]) => sum + us - (before.tasksUs.get(id) ?? 0), 0);
  const tickedUs = after.tickedUs - before.tickedUs;
  return tickedUs > exactUs + ticksErrorUs ? tickedUs : exactUs;
}

/** The command name is in brackets and may itself hold brackets and spaces: fields count from the last bracket. */
export function parseTickedUs(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [Number(fields[11]), Number(fields[12])];
  return (user + system) * tickUs;
}

/** Undefined where there is no such file any more: its task has ended. */
function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
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
