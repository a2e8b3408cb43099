import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import { runTool } from '../base/tool.js';
import { downloadPackaging } from '../debian/source.js';
import { thisRelease } from '../debian/this-release.js';
import type { Port } from './port.js';

/** The release of Debian whose mirrors have the version, if it is not the one that this machine runs. */
export function foreignRelease({ debian }: Port): string | undefined {
  return debian?.release === thisRelease() ? undefined : debian?.release;
}

/**
 * Get what Debian adds to the original tarball: its folder `debian`, where the port wants the patches in it.
 *
 * @returns the folder that it was unpacked in; undefined where the port does without
 */
export async function fetchPackaging(port: Port): Promise<string | undefined> {
  const { debian, version } = port;
  if (!debian?.patches) return undefined;
  const download = join(port.buildDirectory, 'download');
  const tarball =
    findPackaging(download, debian.package) ??
    (await downloadPackaging(debian.package, version, download, foreignRelease(port)));
  const folder = `${tarball}.unpacked`;
  if (existsSync(folder)) return folder;
  const scratch = `${folder}.new`;
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  await runTool(`unpack the packaging of ${port.name}`, [
    'tar',
    '--extract',
    '--file',
    tarball,
    '--directory',
    scratch,
    '--no-same-owner',
  ]);
  renameSync(scratch, folder);
  return folder;
}

function findPackaging(download: string, name: string): string | undefined {
  if (!existsSync(download)) return undefined;
  const found = readdirSync(download).find(
    (file) => file.startsWith(`${name}_`) && /\.debian\.tar\.\w+$/.test(file),
  );
  return found === undefined ? undefined : join(download, found);
}

/** Debian's patches in the order of their series. */
export function debianPatchesOf({ packaging }: { packaging?: string | undefined }): string[] {
  if (packaging === undefined) return [];
  const folder = join(packaging, 'debian/patches');
  const series = join(folder, 'series');
  if (!existsSync(series)) return [];
  const lines = readFileSync(series, 'utf8').split('\n');
  return lines
    .map((line) => line.replace(/(^|\s)#.*/, '').trim())
    .filter(Boolean)
    .map((line) => patchIn(folder, line));
}

/** A line of a series names a patch, and seldom how to apply it. */
function patchIn(folder: string, line: string): string {
  const [name = '', ...options] = line.split(/\s+/);
  if (options.every((option) => option === '-p1')) return join(folder, name);
  throw new UserError(
    `Debian’s patch ${name} is to be applied with ${options.join(' ')}, which is not supported`,
    {
      hint: 'leave debian.patches out of port.json, and add what is needed to the port’s patches',
    },
  );
}
