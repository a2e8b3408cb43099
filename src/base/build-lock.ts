import { mkdirSync } from 'node:fs';
import lockfile from 'proper-lockfile';
import { UserError } from './errors.js';
import { buildDir } from './paths.js';

/** After so many milliseconds without a sign of life its owner counts as dead; a busy machine may keep it waiting. */
const stale = 30_000;

const patience = { retries: 1_800, factor: 1, minTimeout: 1_000, maxTimeout: 1_000 };

/** Build while nobody else does in this tree: two shells, or a test beside a person. */
export async function withBuildLock<T>(work: () => Promise<T>): Promise<T> {
  const release = await takeLock();
  try {
    return await work();
  } finally {
    await release();
  }
}

async function takeLock(): Promise<() => Promise<void>> {
  try {
    mkdirSync(buildDir, { recursive: true });
    return await lockfile.lock(buildDir, { stale, retries: 0 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ELOCKED') throw notOurs(cause as Error);
  }
  console.error('megapipe: waiting for another build in this folder to end');
  try {
    return await lockfile.lock(buildDir, { stale, retries: patience });
  } catch (cause) {
    throw new UserError('another build has been running in this folder for half an hour', {
      hint: `let it end, or, if there is none, remove ${buildDir}.lock`,
      cause,
    });
  }
}

function notOurs(cause: Error): UserError {
  return new UserError(`cannot build in ${buildDir}: ${cause.message}`, {
    hint: 'work in a copy of the project that is yours',
    cause,
  });
}
