import { existsSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import { buildDir, root } from '../base/paths.js';
import { outcomeOf, type Task } from '../base/tasks.js';
import { runTool } from '../base/tool.js';

/** Where megapipe.h is. */
export const libmegapipeHeaders = join(root, 'libmegapipe');

/** The static library; the sanitizers need one of their own. */
export function libmegapipeArchive(sanitize = false): string {
  return join(buildDir, sanitize ? 'libmegapipe-sanitize' : 'libmegapipe', 'libmegapipe.a');
}

/** libmegapipe itself. */
export function libraryTask(sanitize = false): Task {
  const title = sanitize ? 'libmegapipe with sanitizers' : 'libmegapipe';
  const settings = sanitize ? ['SANITIZE=1'] : [];
  return makeTask(title, libmegapipeHeaders, libmegapipeArchive(sanitize), settings);
}

/** The load generator's engine, an addon for Node.js. */
export function loadgenTask(): Task {
  return makeTask('load generator', join(root, 'loadgen/native'), join(buildDir, 'loadgen/load.node'));
}

/** What `megapipe bench guest` runs beside the applications. */
export function benchProgramsTask(): Task {
  return makeTask(
    'echo servers and a client',
    join(root, 'src/bench/native'),
    join(buildDir, 'bench/count.so'),
  );
}

/** Run make in one of our folders; it knows itself what is up to date. */
function makeTask(title: string, folder: string, product: string, settings: string[] = []): Task {
  const run = async () => {
    const before = changeTime(product);
    await runTool(`compile ${title}`, ['make', '-C', folder, `-j${availableParallelism()}`, ...settings]);
    if (!existsSync(product)) throw new UserError(`make in ${folder} left no ${product}`);
    return outcomeOf(changeTime(product) !== before);
  };
  return { title, run };
}

function changeTime(file: string): number {
  return existsSync(file) ? statSync(file).mtimeMs : 0;
}
