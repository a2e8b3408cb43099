import { readFileSync } from 'node:fs';

/** "0,2-3" to [0, 2, 3]. */
function expand(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

/** The CPUs of this process's affinity mask, in order. */
export function allowedCpus(): number[] {
  const match = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return expand(match?.[1] ?? '0');
}

/** How many files this process may have open; node has raised the soft limit to the hard one. */
export function openFilesLimit(): number {
  const match = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
  return match ? Number(match[1]) : Number.POSITIVE_INFINITY;
}
