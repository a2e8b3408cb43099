import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { UserError } from './errors.js';
import { buildDir, root } from './paths.js';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a sha256 is 64 hexadecimal digits');

const release = z.strictObject({ version: z.string(), file: z.string(), sha256 });

/** An old release, in what it differs: its source is not in the distribution, and patches of its own are for it. */
const otherVersion = z.strictObject({
  upstream: z.strictObject({ url: z.url(), sha256 }),
  /** The folder of its patches; those in its `fixes/` are for both variants and come first, and are not counted. */
  patches: z.string().regex(/^[\w.-]+$/, 'a folder beside port.json'),
  /** Our own C files, where they are not all of those beside port.json. */
  sources: z.array(z.string()).nonempty().optional(),
  /** What its makers generate from version control, and a tree from there lacks: files and what is in them. */
  generated: z.record(z.string(), z.string()).optional(),
  configure: z.array(z.string()).optional(),
  sanitize: z.array(z.string()).optional(),
  compilerFlags: z.array(z.string()).optional(),
  products: z.array(z.string()).nonempty().optional(),
});

const portFile = z.strictObject({
  name: z.string(),
  /** How it is configured and compiled: see `recipes` in port-build.ts. */
  kind: z.enum(['autoconf', 'nginx']),
  version: z.string(),
  licence: z.string(),
  /** The original tarball inside the distribution's source package. */
  debian: z.strictObject({ package: z.string(), file: z.string(), sha256 }),
  /** The same release at its makers'. */
  upstream: z.strictObject({ url: z.url(), sha256 }),
  /** Other releases of the distribution whose tarball is known. */
  releases: z.record(z.string(), release).default({}),
  /** Other versions that can be built, by --version. */
  versions: z
    .record(z.string().regex(/^\d[\w.-]*$/, 'a version begins with a digit'), otherVersion)
    .default({}),
  /** Arguments of configure for every variant. */
  configure: z.array(z.string()),
  /** Added to the compiler's flags, for every variant. */
  compilerFlags: z.array(z.string()).default([]),
  /** What the megapipe variant adds to them; the only difference between the two. `{port}` is the port's folder. */
  megapipe: z.array(z.string()),
  /** What builds with sanitizers add to them, beside the compiler's flags. */
  sanitize: z.array(z.string()).default([]),
  /** What the build must leave behind. */
  products: z.array(z.string()).nonempty(),
});

/** An application ported to MegaPipe: ports/<name>/, as its port.json describes it. */
export type Port = Omit<z.infer<typeof portFile>, 'debian'> & {
  sources?: string[] | undefined;
  generated?: Record<string, string> | undefined;
  /** Absent where the distribution does not have this version. */
  debian?: z.infer<typeof portFile>['debian'];
  directory: string;
  buildDirectory: string;
  /** The name of its folder of patches. */
  patches: string;
  /** The distribution's release that the source is taken from, if not the one that this machine runs. */
  release?: string;
};

export const variants = ['baseline', 'megapipe'] as const;
export type Variant = (typeof variants)[number];

/**
 * Read a port's port.json.
 *
 * @param port a port's name, or a folder that holds a port
 * @param output where it is built, in a folder of its own
 */
export function loadPort(port: string, output = buildDir): Port {
  const directory = port.includes('/') ? resolve(port) : join(root, 'ports', port);
  const file = join(directory, 'port.json');
  if (!existsSync(file)) {
    throw new UserError(`there is no port of ${port}: ${file} is missing`, {
      hint: `the ports are: ${portNames().join(', ')}`,
      exitCode: 2,
    });
  }
  const parsed = portFile.safeParse(readJson(file));
  if (!parsed.success) {
    throw new UserError(`${file} is wrong: ${z.prettifyError(parsed.error)}`, { hint: 'correct it' });
  }
  const { name } = parsed.data;
  return { ...parsed.data, directory, buildDirectory: join(resolve(output), name), patches: 'patches' };
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new UserError(`${file} is not JSON: ${(cause as Error).message}`, { hint: 'correct it', cause });
  }
}

/** The applications that have a port. */
export function portNames(): string[] {
  const portsDirectory = join(root, 'ports');
  return readdirSync(portsDirectory).filter((name) => existsSync(join(portsDirectory, name, 'port.json')));
}

/** The port's patches, in the order of their numbers. */
export function patchesOf(port: Port): string[] {
  return filesIn(patchDirectory(port), /^\d+-.*\.patch$/);
}

/** What an old release needs, with MegaPipe or without, to be compiled today and compared: applied before the port's. */
export function fixesOf(port: Port): string[] {
  return filesIn(join(patchDirectory(port), 'fixes'), /^\d+-.*\.patch$/);
}

/** Where a port's patches are. */
export function patchDirectory(port: Port): string {
  return join(port.directory, port.patches);
}

/** Our own C files, which are copied beside the application's. */
export function sourcesOf(port: Port): string[] {
  return port.sources?.map((file) => join(port.directory, file)) ?? filesIn(port.directory, /\.[ch]$/);
}

function filesIn(directory: string, pattern: RegExp): string[] {
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory).filter((name) => pattern.test(name));
  return names.sort().map((name) => join(directory, name));
}

/** Where a variant is built, with everything the application's own tests need around it. */
export function variantDirectory(port: Port, variant: Variant, sanitize = false): string {
  return join(port.buildDirectory, sanitize ? `${variant}-sanitize` : variant);
}

/** A built server; an error that says what to run where it is not built. */
export function serverBinary(port: Port, variant: Variant, sanitize = false): string {
  const binary = join(variantDirectory(port, variant, sanitize), port.products[0] as string);
  if (existsSync(binary)) return binary;
  throw new UserError(`the ${variant} variant of ${port.name} is not built`, {
    hint: `run: npx megapipe build ${port.name}${versionOption(port)}${sanitize ? ' --sanitize' : ''}`,
  });
}

/** What the command line needs to mean this version, and not the usual one. */
function versionOption({ version, versions }: Port): string {
  return version in versions ? ` --version ${version}` : '';
}
