import { readdirSync } from 'node:fs';
import { residentKib } from '../nginx/processes.js';
import { pause } from '../waiting.js';

function descriptors(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0; // ended meanwhile
  }
}

const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);

/** What processes hold together. */
export const resourcesOf = (pids: number[]) => ({
  kib: sum(pids.map((pid) => residentKib(pid) || 0)),
  descriptors: sum(pids.map(descriptors)),
});

/** Look at the memory of processes again and again, until asked for the most. */
export function watchMemory(pids: () => number[]): () => number {
  let most = 0;
  const look = () => {
    most = Math.max(most, resourcesOf(pids()).kib);
  };
  look();
  const timer = setInterval(look, 250);
  return () => {
    clearInterval(timer);
    look();
    return most;
  };
}

/** How long it takes until something is so, in milliseconds; a limit says that it never was. */
export async function timeUntil(condition: () => boolean, limitMs: number): Promise<number> {
  const started = Date.now();
  while (!condition() && Date.now() - started < limitMs) await pause(25);
  return Date.now() - started;
}
