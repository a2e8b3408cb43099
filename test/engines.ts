import { join } from 'node:path';
import { execaSync } from 'execa';
import { buildDir } from '../src/base/paths.js';

export type Engine = 'kernel' | 'uring' | 'epoll';

type Probe = { engine: Engine; missing: string | undefined };

/** In a guest, whose CPU is slow, only what the host can't test is tested: see test/vm/suite.ts. */
const only = process.env.MEGAPIPE_TEST_ENGINE;

/** True where only that is tested: no stock servers beside it, and no builds with sanitizers, which the host has. */
export const isOneEngine = only !== undefined;

/** Every engine, and why it can't be tested here. */
export const engines: Probe[] = execaSync(join(buildDir, 'libmegapipe/megapipe-probe'))
  .stdout.split('\n')
  .map((line) => line.split('\t'))
  .filter(([engine]) => only === undefined || engine === only)
  .map(([engine, error]) => ({
    engine: engine as Engine,
    missing: Number(error) === 0 ? undefined : `engine ${engine} does not work here: error ${error}`,
  }));
