import { existsSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, relative } from 'node:path';
import { UserError } from '../base/errors.js';
import { runTool } from '../base/tool.js';
import { autoconfRecipe } from './autoconf.js';
import { makeRecipe } from './make.js';
import { nginxRecipe } from './nginx.js';
import type { Port, Variant } from './port.js';
import { productsOf, type Recipe, type Target, targetOf } from './recipe.js';

const recipes: Record<Port['kind'], Recipe> = {
  autoconf: autoconfRecipe,
  nginx: nginxRecipe,
  make: makeRecipe,
};

/** Why a variant can't be built, or undefined. */
export function whyUnavailable(port: Port, variant: Variant): string | undefined {
  return variant === 'megapipe' ? recipes[port.kind].whyNoMegapipe(port) : undefined;
}

/** Configure and make one variant of the patched tree; true if anything was built. */
export async function buildVariant(port: Port, variant: Variant, sanitize = false): Promise<boolean> {
  const why = whyUnavailable(port, variant);
  if (why) throw new UserError(why, { hint: 'build the baseline: --variant baseline' });
  const recipe = recipes[port.kind];
  const target = targetOf(port, variant, sanitize);
  const configured = await recipe.configure(target);
  const before = productTimes(target);
  recipe.refresh?.(target);
  const { args, cwd, env = {} } = recipe.make(target);
  const what = `compile ${port.name} ${basename(target.directory)}`;
  await runTool(what, ['make', `-j${availableParallelism()}`, ...args], { cwd, env });
  checkProducts(target, ['make', ...args]);
  return configured || productTimes(target) !== before;
}

function productTimes(target: Target): string {
  return productsOf(target)
    .map((product) => (existsSync(product) ? statSync(product).mtimeMs : 0))
    .join();
}

function checkProducts(target: Target, command: string[]): void {
  const missing = productsOf(target).filter((product) => !existsSync(product));
  if (missing.length === 0) return;
  const names = missing.map((product) => relative(target.directory, product)).join(', ');
  throw new UserError(`make left no ${names} in ${target.directory}: it ran as ${command.join(' ')}`, {
    hint: `correct products, or what make is told, in ${join(target.port.directory, 'port.json')}`,
  });
}
