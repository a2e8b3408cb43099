import { expect } from 'vitest';
import { megapipe } from '../megapipe.js';

/*
 * The paper's memcached. Its source is in no distribution: a tarball, or a tree of the tag 1.4.13, is named in the
 * environment.
 */
export const version = '1.4.13';
const source = process.env.MEGAPIPE_MEMCACHED_SOURCE_1_4_13;

/** Why it can't be tested, or undefined. */
export const missing = source
  ? undefined
  : `memcached ${version} is not in Debian: name its source in MEGAPIPE_MEMCACHED_SOURCE_1_4_13`;

/** What building takes at most. */
export const limit_ms = 900_000;

/** Both variants, of one tree. */
export async function build(...more: string[]): Promise<void> {
  const args = ['build', 'memcached', '--version', version, '--source', source as string, ...more];
  const { exitCode, stderr } = await megapipe(args);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
}
