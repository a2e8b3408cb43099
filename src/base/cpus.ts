import { readFileSync } from 'node:fs';

/** More CPUs than any kernel has (its NR_CPUS). */
const mostCpus = 8192;

/** The CPUs that this process may use, in order. */
export function allowedCpus(): number[] {
  const line = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return parseCpuList(line?.[1] ?? '0');
}

/** The CPUs of the kernel's list format, like `0-2,5`; empty where it is not such a list. */
export function parseCpuList(list: string): number[] {
  const ranges = list.split(',').map((range) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    return { first: Number(first), last: Number(last) };
  });
  if (!ranges.every(({ first, last }) => first <= last && last < mostCpus)) return [];
  return ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
}
