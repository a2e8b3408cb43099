import { join } from 'node:path';
import { type Port, type Variant, variantDirectory } from './port.js';

/** One variant of an application, to be built in a folder of its own. */
export type Target = { port: Port; variant: Variant; sanitize: boolean; directory: string };

/** How applications of one kind are built. */
export type Recipe = {
  /** Why there can be no megapipe variant yet, or undefined. */
  whyNoMegapipe: (port: Port) => string | undefined;
  /** Configure, unless that was done with the same inputs; true if it ran. */
  configure: (target: Target) => Promise<boolean>;
  /** Do what make's own rules do not know to be needed. */
  refresh?: (target: Target) => void;
  /** Where make runs, and on what. */
  make: (target: Target) => { args: string[]; cwd: string; env?: Record<string, string> };
};

/** Sanitizers for every kind. Undefined behaviour is told and not fatal: the applications' own code has some. */
export const sanitizers = '-fsanitize=address,undefined';
export const sanitizeFlags = `-O1 -g -fno-omit-frame-pointer ${sanitizers}`;

/** The target's folder and name. */
export function targetOf(port: Port, variant: Variant, sanitize: boolean): Target {
  return { port, variant, sanitize, directory: variantDirectory(port, variant, sanitize) };
}

/** What the build must leave in the target's folder. */
export function productsOf({ port, directory }: Target): string[] {
  return port.products.map((name) => join(directory, name));
}
