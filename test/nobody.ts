import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { root } from '../src/base/paths.js';

/** A user without rights. */
export const nobody = 65_534;

/** Why a test can't run the project as that user: we must be able to become it, and it to read what is here. */
export function whyNotAsNobody(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, to become somebody else';
  for (let folder = root; folder !== '/'; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o005) !== 0o005) return `${folder} is not open to other users`;
  }
  return undefined;
}
