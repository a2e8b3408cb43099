import { cpSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UserError } from '../base/errors.js';
import { runStep } from '../base/stamp.js';
import { libmegapipeArchive, libmegapipeHeaders } from '../build/native.js';
import { relinkIfLibraryIsNewer } from './autoconf.js';
import { copyOwnFiles } from './own-files.js';
import { ownFilesOf, type Port, patchesOf } from './port.js';
import { type Recipe, sanitizeFlags, type Target } from './recipe.js';
import { treeDirectory } from './tree.js';

/** An application with a makefile of its own, or of the port's: each variant is compiled in a copy of the patched tree. */
export const makeRecipe: Recipe = {
  whyNoMegapipe: (port) => {
    if (patchesOf(port).length > 0 || ownFilesOf(port).length > 0) return undefined;
    return `the port of ${port.name} has neither patches nor files of its own yet, so there is no megapipe variant`;
  },
  configure,
  refresh: (target) => {
    copyOwnFiles(target);
    if (target.variant === 'megapipe') relinkIfLibraryIsNewer(target);
  },
  make: (target) => ({ ...settingsOf(target), cwd: target.directory }),
};

/** Make the copy anew where make would not notice a change: in what it is told, and in headers. */
async function configure(target: Target): Promise<boolean> {
  const { port, variant, directory } = target;
  const headers = ownFilesOf(port)
    .map(({ file }) => file)
    .filter((file) => !file.endsWith('.c'));
  const ours = variant === 'megapipe' ? [join(libmegapipeHeaders, 'megapipe.h')] : [];
  const step = {
    stamp: `${directory}.stamp`,
    inputs: [`${treeDirectory(port)}.stamp`, ...headers, ...ours],
    parameters: settingsOf(target),
    outputs: [directory],
  };
  return runStep(step, async () => {
    rmSync(directory, { recursive: true, force: true });
    cpSync(treeDirectory(port), directory, { recursive: true, preserveTimestamps: true });
  });
}

/** What make is told: the same for both variants but for the port's own switch, and where libmegapipe is. */
function settingsOf(target: Target): { args: string[]; env: Record<string, string> } {
  const { port, variant, sanitize } = target;
  const { make } = port;
  if (sanitize) refuseWithoutFlags(port);
  const fill = (text: string) => text.replaceAll('{cflags}', compilerFlags(target));
  const library = [
    `MEGAPIPE_CFLAGS=-I${libmegapipeHeaders}`,
    `MEGAPIPE_LIBS=${libmegapipeArchive(sanitize)} -pthread`,
  ];
  return {
    args: [
      ...make.arguments,
      ...(variant === 'megapipe' ? [...port.megapipe, ...library] : []),
      ...(sanitize ? port.sanitize : []),
    ].map(fill),
    env: Object.fromEntries(Object.entries(make.environment).map(([name, value]) => [name, fill(value)])),
  };
}

function compilerFlags({ port, sanitize }: Target): string {
  return [sanitize ? sanitizeFlags : '-g -O2', ...port.compilerFlags].join(' ');
}

/** A makefile that is not told of the flags would give a server without sanitizers, and nobody would notice. */
function refuseWithoutFlags({ name, directory, make, sanitize }: Port): void {
  const told = [...make.arguments, ...Object.values(make.environment), ...sanitize];
  if (told.some((text) => text.includes('{cflags}'))) return;
  throw new UserError(
    `${basename(directory)}/port.json of ${name} tells make nowhere of {cflags}, so --sanitize can do nothing`,
    {
      hint: 'add CFLAGS={cflags} to make.arguments or make.environment',
    },
  );
}
