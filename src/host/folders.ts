import { accessSync, chmodSync, constants, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from './alive.js';

/** Memory that is a file system, on every Linux that has it. */
const memory = '/dev/shm';

/** Folders carry the pid of the process that made them, so that those of a process that died can be found. */
const namePattern = /^megapipe-folder-(\d+)-/;

/** Where stale folders were looked for already. */
const swept = new Set<string>();

/**
 * Make an empty folder, which whoever calls this must remove. A server's workers, who may be another user, can read what
 * is in it.
 */
export function makeFolder(parent: string): string {
  if (!swept.has(parent)) removeStale(parent);
  swept.add(parent);
  const folder = mkdtempSync(join(parent, `megapipe-folder-${process.pid}-`));
  chmodSync(folder, 0o755);
  return folder;
}

/** Where so many bytes can go: in memory, or else where temporary files go, which the page cache then holds. */
export function roomFor(bytes: number): string {
  try {
    accessSync(memory, constants.W_OK);
    const { bavail, bsize } = statfsSync(memory);
    return bavail * bsize > bytes * 1.1 ? memory : tmpdir();
  } catch {
    return tmpdir();
  }
}

/** Whether a folder is in memory. */
export const inMemory = (folder: string) => folder.startsWith(`${memory}/`);

/** Remove what processes that are no longer there left behind. */
function removeStale(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = namePattern.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
}
