import { readFileSync } from 'node:fs';

/** How many files this process may have open; node has raised the soft limit to the hard one. */
export function openFilesLimit(): number {
  const match = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
  return match ? Number(match[1]) : Number.POSITIVE_INFINITY;
}
