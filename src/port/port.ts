import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { UserError } from '../base/errors.js';
import { buildDir, root } from '../base/paths.js';
import { readPortFile } from './file.js';
import {
  findVersion,
  lookRelease,
  noSuchVersion,
  type PortOfVersion,
  portOfVersion,
  usualVersion,
  withFound,
} from './version.js';

/** An application ported to MegaPipe: ports/<name>/, or a folder of somebody else's, as its port.json describes it. */
export type Port = PortOfVersion & {
  directory: string;
  buildDirectory: string;
  /** Whether it is the version that is meant where none is named. */
  isUsual: boolean;
};

export const variants = ['baseline', 'megapipe'] as const;
export type Variant = (typeof variants)[number];

/**
 * Read a port's port.json.
 *
 * @param port a port's name, or a folder that holds a port
 * @param version its number, or the release of Debian that has it; the usual one if it is not given
 * @param output where it is built, in a folder of its own
 */
export function loadPort(port: string, version?: string, output = buildDir): Port {
  const { directory, file, folder } = readPort(port, output);
  const usual = usualVersion(file);
  const wanted = version === undefined ? usual : findVersion(file, version);
  if (wanted === undefined) throw noSuchVersion(file, version as string);
  const isUsual = wanted === usual;
  const buildDirectory = isUsual ? folder : `${folder}-${wanted}`;
  return { ...portOfVersion(file, wanted), directory, buildDirectory, isUsual };
}

/** The same, where the version may be that of a release of Debian that the port doesn't know: then it is looked up. */
export async function lookPort(port: string, version?: string, output = buildDir): Promise<Port> {
  const { file, folder } = readPort(port, output);
  if (version !== undefined && findVersion(file, version) === undefined)
    await lookRelease(file, version, foundList(folder));
  return loadPort(port, version, output);
}

const foundList = (folder: string) => join(folder, 'releases.json');

function readPort(port: string, output: string) {
  const directory = port.includes('/') ? resolve(port) : join(root, 'ports', port);
  const file = join(directory, 'port.json');
  if (!existsSync(file)) {
    throw new UserError(`there is no port of ${port}: ${file} is missing`, {
      hint: `the ports are: ${portNames().join(', ')}`,
      exitCode: 2,
    });
  }
  const parsed = readPortFile(file);
  const folder = join(resolve(output), parsed.name);
  return { directory, folder, file: withFound(parsed, foundList(folder)) };
}

/** The applications that have a port. */
export function portNames(): string[] {
  const portsDirectory = join(root, 'ports');
  return readdirSync(portsDirectory).filter((name) => existsSync(join(portsDirectory, name, 'port.json')));
}

/** The port's patches, in the order of their numbers. */
export function patchesOf(port: Port): string[] {
  return numbered(patchDirectories(port));
}

/** What an old release needs, with MegaPipe or without, to be compiled today and compared: applied before the port's. */
export function fixesOf(port: Port): string[] {
  return numbered(patchDirectories(port).map((folder) => join(folder, 'fixes')));
}

/** Where a port's patches are. */
export function patchDirectories(port: Port): string[] {
  return port.patches.map((folder) => join(port.directory, folder));
}

/** Of each number the patch in the first folder that has it. */
function numbered(folders: string[]): string[] {
  const numberOf = (patch: string) => Number.parseInt(basename(patch), 10);
  const all = folders.flatMap((folder) => filesIn(folder, /^\d+-.*\.patch$/));
  const firsts = all.filter((patch, at) => all.findIndex((one) => numberOf(one) === numberOf(patch)) === at);
  return firsts.sort((a, b) => numberOf(a) - numberOf(b));
}

/** A file of ours, and where in the application's tree it is copied to. */
type OwnFile = { file: string; to: string };

/** Our own files: what port.json names, or the C files beside it, which go to the top of the tree. */
export function ownFilesOf(port: Port): OwnFile[] {
  if (port.files) return filesBelow(port, port.files);
  const beside =
    port.sources?.map((file) => join(port.directory, file)) ?? filesIn(port.directory, /\.[ch]$/);
  return beside.map((file) => ({ file, to: basename(file) }));
}

function filesBelow(port: Port, { from, to }: NonNullable<Port['files']>): OwnFile[] {
  const folder = join(port.directory, from);
  if (!existsSync(folder)) {
    throw new UserError(`${join(port.directory, 'port.json')} is wrong: files.from: there is no ${folder}`, {
      hint: 'name a folder beside port.json',
    });
  }
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.sort().map((file) => ({ file, to: join(to, relative(folder, file)) }));
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
    hint: `run: npx megapipe build ${nameOf(port)}${versionOption(port)}${sanitize ? ' --sanitize' : ''}`,
  });
}

/** What the command line calls it: one of ours by its name, another by its folder. */
function nameOf({ name, directory }: Port): string {
  if (isOurs(directory)) return name;
  const path = relative(process.cwd(), directory);
  return path.startsWith('..') ? directory : `./${path}`;
}

/** Whether a port's folder is one of those in ports/. */
export const isOurs = (directory: string) => dirname(directory) === join(root, 'ports');

/** What the command line needs to mean this version, and not the usual one. */
function versionOption({ version, isUsual }: Port): string {
  return isUsual ? '' : ` --version ${version}`;
}
