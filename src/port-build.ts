import { copyFileSync, cpSync, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { libmegapipeArchive, libmegapipeHeaders } from './build-native.js';
import { UserError } from './errors.js';
import { type Port, patchesOf, sourcesOf, type Variant, variantDirectory } from './port.js';
import { treeDirectory } from './port-tree.js';
import { runStep } from './stamp.js';
import { runTool } from './tool.js';

// Undefined behaviour is told and not fatal: memcached's own hash and byte order functions have some.
const sanitizeFlags = '-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined';

/** Why a variant can't be built, or undefined. */
export function whyUnavailable(port: Port, variant: Variant): string | undefined {
  if (variant === 'megapipe' && patchesOf(port).length === 0) {
    return `the port of ${port.name} has no patches yet, so there is no megapipe variant`;
  }
  return undefined;
}

/** Configure and make one variant in a copy of the patched tree; true if anything was built. */
export async function buildVariant(port: Port, variant: Variant, sanitize = false): Promise<boolean> {
  const why = whyUnavailable(port, variant);
  if (why) throw new UserError(why, { hint: 'build the baseline: --variant baseline' });
  const directory = variantDirectory(port, variant, sanitize);
  const configured = await configure(port, variant, sanitize, directory);
  const before = productTimes(port, directory);
  copySources(port, directory);
  if (variant === 'megapipe') relinkIfLibraryIsNewer(port, directory, libmegapipeArchive(sanitize));
  const what = `compile ${port.name} ${basename(directory)}`;
  await runTool(what, ['make', `-j${availableParallelism()}`], { cwd: directory });
  checkProducts(port, directory);
  return configured || productTimes(port, directory) !== before;
}

async function configure(
  port: Port,
  variant: Variant,
  sanitize: boolean,
  directory: string,
): Promise<boolean> {
  const args = configureArguments(port, variant, sanitize);
  const inputs = [`${treeDirectory(port)}.stamp`];
  const step = {
    stamp: `${directory}.stamp`,
    inputs,
    parameters: args,
    outputs: [join(directory, 'Makefile')],
  };
  return runStep(step, async () => {
    rmSync(directory, { recursive: true, force: true });
    cpSync(treeDirectory(port), directory, { recursive: true, preserveTimestamps: true });
    copySources(port, directory);
    await runTool(`configure ${port.name} ${basename(directory)}`, ['./configure', ...args], {
      cwd: directory,
    });
  });
}

/** The same for both variants but for the port's own switch; pkg-config is overridden as its manual says. */
function configureArguments(port: Port, variant: Variant, sanitize: boolean): string[] {
  const library = [
    `MEGAPIPE_CFLAGS=-I${libmegapipeHeaders}`,
    `MEGAPIPE_LIBS=${libmegapipeArchive(sanitize)}`,
  ];
  return [
    ...port.configure,
    ...(variant === 'megapipe' ? [...port.megapipe, ...library] : []),
    ...(sanitize ? [`CFLAGS=${sanitizeFlags}`] : []),
  ];
}

/** Copied only when changed, so that make compiles only what did. */
function copySources(port: Port, directory: string): void {
  for (const source of sourcesOf(port)) {
    const copy = join(directory, basename(source));
    if (!existsSync(copy) || !readFileSync(copy).equals(readFileSync(source))) copyFileSync(source, copy);
  }
}

/** The application's makefile does not know that it depends on our archive. */
function relinkIfLibraryIsNewer(port: Port, directory: string, archive: string): void {
  for (const name of port.products) {
    const product = join(directory, name);
    if (existsSync(product) && existsSync(archive) && statSync(archive).mtimeMs > statSync(product).mtimeMs) {
      rmSync(product);
    }
  }
}

function productTimes(port: Port, directory: string): string {
  const products = port.products.map((name) => join(directory, name));
  return products.map((product) => (existsSync(product) ? statSync(product).mtimeMs : 0)).join();
}

function checkProducts(port: Port, directory: string): void {
  const missing = port.products.filter((name) => !existsSync(join(directory, name)));
  if (missing.length === 0) return;
  throw new UserError(`make left no ${missing.join(', ')} in ${directory}`, {
    hint: 'the products of a port are named in its port.json',
  });
}
