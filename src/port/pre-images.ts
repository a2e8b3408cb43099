import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import { type Port, patchDirectories } from './port.js';

/**
 * The sums of the files that a version's patches are for. Some patches quote nothing of the files, so that line numbers
 * are all that places them: in another file they would land anywhere.
 *
 * @returns the files with the sums, in the form of sha256sum
 */
export function preImagesFiles(port: Port): string[] {
  return patchDirectories(port)
    .map((folder) => join(folder, 'pre-images.sha256'))
    .filter((file) => existsSync(file));
}

/** See that every file that patches change which quote nothing of it is the one that they were made for. */
export function checkPreImages(port: Port, patches: string[], tree: string): void {
  const sums = new Map(preImagesFiles(port).flatMap(readSums));
  const blind = patches.filter(quotesNothing);
  for (const file of touchedBy(blind)) checkPreImage(port, tree, file, sums.get(file));
}

function quotesNothing(patch: string): boolean {
  const [, ...hunks] = readFileSync(patch, 'utf8').split(/^(?=@@ )/m);
  return !hunks.some((hunk) => /^[ -](?!- $)/m.test(hunk.replace(/^--- .*\n\+\+\+ /gm, '')));
}

function checkPreImage(port: Port, tree: string, file: string, expected: string | undefined): void {
  const release = `${port.name} ${port.version}`;
  if (expected === undefined) {
    throw new UserError(`a patch for ${release} changes ${file}, whose sum pre-images.sha256 does not have`, {
      hint: `add it: sha256sum ${file}`,
    });
  }
  const actual = sumOf(join(tree, file));
  if (actual === expected) return;
  const found = actual === undefined ? 'it is not there' : `its sha256 is ${actual}`;
  throw new UserError(`${file} is not that of ${release}: ${found}, and the patches are for ${expected}`, {
    hint: `give the source of ${release}`,
  });
}

function sumOf(path: string): string | undefined {
  return existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : undefined;
}

function readSums(list: string): [string, string][] {
  const lines = readFileSync(list, 'utf8').matchAll(/^([0-9a-f]{64}) [ *](.+)$/gm);
  return [...lines].map(([, sum, file]) => [file as string, sum as string]);
}

/** Files that are there before; not those that a patch makes. */
function touchedBy(patches: string[]): string[] {
  const files = patches.flatMap((patch) => [
    ...readFileSync(patch, 'utf8').matchAll(/^--- (?!\/dev\/null).*\n\+\+\+ b\/([^\t\n]+)/gm),
  ]);
  return [...new Set(files.map(([, file]) => file as string))].sort();
}
