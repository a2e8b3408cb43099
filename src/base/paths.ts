import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root, the same from src/ (tests) and dist/src/ (the command). */
export const root = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Everything native that we build or fetch; safe to delete. */
export const buildDir = join(root, 'build');

function findRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : findRoot(dirname(from));
}
