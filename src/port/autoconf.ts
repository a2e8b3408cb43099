import { cpSync, existsSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runStep } from '../base/stamp.js';
import { runTool } from '../base/tool.js';
import { libmegapipeArchive, libmegapipeHeaders } from '../build/native.js';
import { copyOwnFiles } from './own-files.js';
import { type Port, patchesOf } from './port.js';
import { productsOf, type Recipe, sanitizeFlags, type Target } from './recipe.js';
import { treeDirectory } from './tree.js';

/** An application that patches hook our files into: each variant is compiled in a copy of the patched tree. */
export const autoconfRecipe: Recipe = {
  whyNoMegapipe: (port) => {
    if (patchesOf(port).length > 0) return undefined;
    return `the port of ${port.name} has no patches yet, so there is no megapipe variant`;
  },
  configure,
  refresh: (target) => {
    copyOwnFiles(target);
    if (target.variant === 'megapipe') relinkIfLibraryIsNewer(target);
  },
  make: ({ directory }) => ({ args: [], cwd: directory }),
};

async function configure(target: Target): Promise<boolean> {
  const { port, directory } = target;
  const args = configureArguments(target);
  const step = {
    stamp: `${directory}.stamp`,
    inputs: [`${treeDirectory(port)}.stamp`],
    parameters: args,
    outputs: [join(directory, 'Makefile')],
  };
  return runStep(step, async () => {
    rmSync(directory, { recursive: true, force: true });
    cpSync(treeDirectory(port), directory, { recursive: true, preserveTimestamps: true });
    copyOwnFiles(target);
    const command = ['./configure', ...args];
    await runTool(`configure ${port.name} ${basename(directory)}`, command, { cwd: directory });
  });
}

/** The same for both variants but for the port's own switch; pkg-config is overridden as its manual says. */
function configureArguments({ port, variant, sanitize }: Target): string[] {
  const library = [
    `MEGAPIPE_CFLAGS=-I${libmegapipeHeaders}`,
    `MEGAPIPE_LIBS=${libmegapipeArchive(sanitize)}`,
  ];
  return [
    ...port.configure,
    ...(variant === 'megapipe' ? [...port.megapipe, ...library] : []),
    ...(sanitize ? port.sanitize : []),
    ...compilerFlags(port, sanitize),
  ];
}

/** Nothing where configure's own choice will do. */
function compilerFlags(port: Port, sanitize: boolean): string[] {
  const own = port.compilerFlags;
  if (!sanitize && own.length === 0) return [];
  return [`CFLAGS=${[sanitize ? sanitizeFlags : '-g -O2', ...own].join(' ')}`];
}

/** The application's makefile does not know that it depends on our archive. */
export function relinkIfLibraryIsNewer(target: Target): void {
  const archive = libmegapipeArchive(target.sanitize);
  for (const product of productsOf(target)) {
    if (existsSync(product) && existsSync(archive) && statSync(archive).mtimeMs > statSync(product).mtimeMs) {
      rmSync(product);
    }
  }
}
