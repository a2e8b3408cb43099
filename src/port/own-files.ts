import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ownFilesOf } from './port.js';
import type { Target } from './recipe.js';

/** Copy our files into a variant's tree: only those that changed, so that make compiles only what did. */
export function copyOwnFiles({ port, directory }: Target): void {
  for (const { file, to } of ownFilesOf(port)) {
    const copy = join(directory, to);
    if (existsSync(copy) && readFileSync(copy).equals(readFileSync(file))) continue;
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(file, copy);
  }
}
