import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { findOriginal } from '../debian/source.js';
import { thisRelease } from '../debian/this-release.js';
import type { PortFile } from './file.js';

/** A port.json as one of its versions has it: in what that differs, it comes first. */
export type PortOfVersion = Omit<PortFile, 'debian' | 'upstream'> &
  Pick<PortFile['versions'][string], 'debian' | 'upstream' | 'patches' | 'sources' | 'generated'>;

/** The version that is meant where none is named: that of this machine's release of Debian, else the port's own. */
export function usualVersion(file: PortFile, release = thisRelease()): string {
  return (release && versionOfRelease(file, release)) ?? file.version;
}

/** The version that somebody names, by its number or by the release of Debian that has it. */
export function findVersion(file: PortFile, name: string): string | undefined {
  return allVersions(file).includes(name) ? name : versionOfRelease(file, name);
}

export function noSuchVersion(file: PortFile, name: string): UserError {
  return new UserError(`the port of ${file.name} has no version ${name}`, {
    hint: `it has: ${allVersions(file).join(', ')}`,
    exitCode: 2,
  });
}

/** The port of a version that it has. */
export function portOfVersion(file: PortFile, version: string): PortOfVersion {
  if (version === file.version) return { ...file, patches: ['patches'] };
  const other = file.versions[version];
  if (!other) throw noSuchVersion(file, version);
  const { debian: _debian, upstream: _upstream, elsewhere: _elsewhere, ...common } = file;
  const given = Object.fromEntries(Object.entries(other).filter(([, value]) => value !== undefined));
  return { ...common, ...(given as typeof other), version } as PortOfVersion;
}

const allVersions = (file: PortFile) => [file.version, ...Object.keys(file.versions)];

function versionOfRelease(file: PortFile, release: string): string | undefined {
  if (file.debian?.release === release) return file.version;
  return Object.entries(file.versions).find(([, { debian }]) => debian?.release === release)?.[0];
}

const original = z.object({ version: z.string(), file: z.string(), sha256: z.string() });
const foundReleases = z.record(z.string(), original);

/**
 * Look up what a release of Debian has, as its signed index says, and remember it.
 *
 * @param list the file in which it is remembered
 */
export async function lookRelease(file: PortFile, release: string, list: string): Promise<void> {
  if (!file.debian) throw noSuchVersion(file, release);
  if (!/^[a-z]+$/.test(release)) {
    const { message, hint } = noSuchVersion(file, release);
    throw new UserError(message, {
      hint: `${hint}; or what a release of Debian has, by its code name, such as trixie`,
      exitCode: 2,
    });
  }
  const found = { ...readFound(list), [release]: await findOriginal(file.debian.package, release) };
  mkdirSync(dirname(list), { recursive: true });
  writeFileSync(list, `${JSON.stringify(found, null, 2)}\n`);
}

/** The port with the versions that were looked up, which get the patches of the newest one that it has itself. */
export function withFound(file: PortFile, list: string): PortFile {
  const { debian } = file;
  if (!debian) return file;
  const versions = { ...file.versions };
  const { patches } = portOfVersion(file, newestVersion(file));
  for (const [release, { version, ...tarball }] of Object.entries(readFound(list))) {
    if (allVersions(file).includes(version)) continue;
    versions[version] = { debian: { ...debian, ...tarball, release }, elsewhere: [], patches };
  }
  return { ...file, versions };
}

function readFound(list: string): z.infer<typeof foundReleases> {
  return existsSync(list) ? foundReleases.parse(JSON.parse(readFileSync(list, 'utf8'))) : {};
}

function newestVersion(file: PortFile): string {
  const byNumber = new Intl.Collator('en', { numeric: true });
  return allVersions(file).sort(byNumber.compare).at(-1) as string;
}
