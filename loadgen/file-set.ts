import { mkdirSync, readFileSync, rmSync, statfsSync, statSync } from 'node:fs';
import { chmod, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../src/base/errors.js';
import { contentOf } from './content.js';
import type { Workload } from './workloads.js';

/** To be changed with what is in the files. */
const version = 1;
const stampName = 'fileset.json';

/** The n-th file's path below the file sets' folder, and below the server's root. */
export function filePath({ folder }: Workload, n: number): string {
  return `${folder}/${String(n).padStart(4, '0')}`;
}

/** The bytes that a workload's files need. */
export function fileSetBytes({ sizes }: Workload): number {
  return sizes.reduce((a, b) => a + b, 0);
}

function stampOf(workload: Workload): string {
  return `${JSON.stringify({ version, workload: workload.name, files: workload.sizes.length })}\n`;
}

function isThere(workload: Workload, directory: string): boolean {
  try {
    if (readFileSync(join(directory, workload.folder, stampName), 'utf8') !== stampOf(workload)) return false;
    return workload.sizes.every((size, n) => statSync(join(directory, filePath(workload, n))).size === size);
  } catch {
    return false;
  }
}

function checkRoom(workload: Workload, directory: string) {
  const { bavail, bsize } = statfsSync(directory);
  const pages = workload.sizes.reduce((total, size) => total + Math.ceil(size / 4096) * 4096, 0);
  if (bavail * bsize >= pages) return;
  const mebibytes = (bytes: number) => Math.ceil(bytes / 2 ** 20);
  throw new UserError(
    `${directory} has room for ${mebibytes(bavail * bsize)} MiB; the files of ${workload.name} need ${mebibytes(pages)} MiB`,
    { hint: 'name a folder elsewhere' },
  );
}

async function writeOne(path: string, n: number, size: number) {
  const file = await open(path, 'w');
  try {
    for (const piece of contentOf(n, size)) await file.writeFile(piece);
    await file.chmod(0o644);
  } finally {
    await file.close();
  }
}

/** The folder, for everybody to read. Folders that are there are left as they are. */
async function makeFolder(path: string) {
  if (mkdirSync(path, { recursive: true }) !== undefined) await chmod(path, 0o755);
}

/**
 * Write a workload's files below a folder, best in memory (/dev/shm). The same files always; those that are there are
 * left alone. One folder can hold all workloads. Anybody may read the files.
 *
 * @returns how many bytes the files have
 */
export async function createFileSet(
  workload: Workload,
  directory: string,
  { signal }: { signal?: AbortSignal } = {},
): Promise<{ folder: string; files: number; bytes: number; written: boolean }> {
  const folder = join(directory, workload.folder);
  const summary = { folder, files: workload.sizes.length, bytes: fileSetBytes(workload) };
  if (isThere(workload, directory)) return { ...summary, written: false };
  try {
    await makeFolder(directory);
    rmSync(folder, { recursive: true, force: true });
    checkRoom(workload, directory);
    await makeFolder(folder);
    for (const [n, size] of workload.sizes.entries()) {
      signal?.throwIfAborted();
      await writeOne(join(directory, filePath(workload, n)), n, size);
    }
    await writeFile(join(folder, stampName), stampOf(workload));
  } catch (error) {
    throw explained(error, folder);
  }
  return { ...summary, written: true };
}

function explained(error: unknown, folder: string): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^E[A-Z]+$/.test(code)) return error;
  return new UserError(`the files can't be written into ${folder}: ${code}`, { cause: error });
}
