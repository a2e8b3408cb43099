import { existsSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { runStep } from '../base/stamp.js';
import { runTool } from '../base/tool.js';
import { libmegapipeArchive } from '../build/native.js';
import type { Port } from './port.js';
import { type Recipe, sanitizeFlags, sanitizers, type Target } from './recipe.js';
import { treeDirectory } from './tree.js';

// Pools then ask malloc for each piece, so that AddressSanitizer sees what is used after it was freed.
const poolFlags = '-DNGX_DEBUG_PALLOC=1 -DNGX_DEBUG_MALLOC=1';

/**
 * nginx with a module of ours: the variants are compiled out of one tree, each with a build folder of its own. The
 * module's config finds libmegapipe by pkg-config, and makes the makefile depend on it and on all our files. Paths in
 * configure's arguments are relative to the tree, as `nginx -V` tells them to everybody.
 */
export const nginxRecipe: Recipe = {
  whyNoMegapipe: (port) => {
    if (existsSync(moduleConfig(port))) return undefined;
    return `the port of ${port.name} has no module yet, so there is no megapipe variant`;
  },
  configure,
  make: ({ port, directory }) => {
    const tree = treeDirectory(port);
    return { args: ['-f', join(relative(tree, directory), 'Makefile')], cwd: tree };
  },
};

/** What tells nginx's configure about our module. */
function moduleConfig(port: Port): string {
  return join(port.directory, 'module/config');
}

async function configure(target: Target): Promise<boolean> {
  const { port, variant, sanitize, directory } = target;
  const tree = treeDirectory(port);
  const args = configureArguments(target);
  const library = dirname(libmegapipeArchive(sanitize));
  const step = {
    stamp: `${directory}.stamp`,
    inputs: [`${tree}.stamp`, ...(variant === 'megapipe' ? [moduleConfig(port)] : [])],
    parameters: args,
    outputs: [join(directory, 'Makefile')],
  };
  return runStep(step, async () => {
    rmSync(directory, { recursive: true, force: true });
    const options = { cwd: tree, env: { PKG_CONFIG_PATH: library } };
    await runTool(`configure ${port.name} ${basename(directory)}`, [script(tree), ...args], options);
  });
}

/** A release has it at the top, nginx's repository has not. */
function script(tree: string): string {
  return existsSync(join(tree, 'configure')) ? './configure' : 'auto/configure';
}

/** The same for both variants but for our module. */
function configureArguments({ port, variant, sanitize, directory }: Target): string[] {
  const tree = treeDirectory(port);
  const portFolder = relative(tree, port.directory);
  const flags = [sanitize ? `${sanitizeFlags} ${poolFlags}` : '-O2', ...port.compilerFlags].join(' ');
  return [
    `--builddir=${relative(tree, directory)}`,
    ...port.configure,
    ...(variant === 'megapipe' ? port.megapipe.map((text) => text.replace('{port}', portFolder)) : []),
    ...(sanitize ? [...port.sanitize, `--with-ld-opt=${sanitizers}`] : []),
    `--with-cc-opt=${flags}`,
  ];
}
