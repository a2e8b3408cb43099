import { rmSync } from 'node:fs';
import { createFileSet, fileSetBytes } from '../../../../loadgen/file-set.js';
import { type WorkloadName, workload } from '../../../../loadgen/workloads.js';
import { inMemory, makeFolder, roomFor } from '../../../host/folders.js';
import type { Content } from '../application.js';

/** Write the files of these workloads, each set in a folder of its own. */
export async function prepareContent(names: readonly string[], signal: AbortSignal): Promise<Content> {
  const chosen = names.map((name) => workload(name as WorkloadName));
  const bytes = chosen.reduce((sum, one) => sum + fileSetBytes(one), 0);
  const folder = makeFolder(roomFor(bytes));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    for (const one of chosen) await createFileSet(one, folder, { signal });
  } catch (error) {
    remove();
    throw error;
  }
  const files = chosen.reduce((sum, { sizes }) => sum + sizes.length, 0);
  const where = inMemory(folder) ? 'in memory (tmpfs)' : 'on disk, in the page cache';
  return { folder, parameters: { files: `${files}, ${Math.round(bytes / 2 ** 20)} MiB, ${where}` }, remove };
}
