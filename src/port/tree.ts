import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { ExecaError, execa } from 'execa';
import { UserError } from '../base/errors.js';
import { runStep } from '../base/stamp.js';
import { runTool } from '../base/tool.js';
import { debianPatchesOf } from './debian.js';
import { fixesOf, type Port, patchesOf } from './port.js';
import { checkPreImages, preImagesFiles } from './pre-images.js';
import type { Source } from './source.js';

/** Unpack the source and apply the port's patches; true if the tree was made anew. */
export async function makeTree(port: Port, source: Source): Promise<boolean> {
  const tree = treeDirectory(port);
  const patches = [...debianPatchesOf(source), ...fixesOf(port), ...patchesOf(port)];
  const sources = source.kind === 'tree' ? filesOf(source.path) : [source.path];
  const inputs = [...sources, ...preImagesFiles(port), ...patches];
  return runStep({ stamp: `${tree}.stamp`, inputs, outputs: [tree] }, async () => {
    const scratch = `${tree}.new`;
    rmSync(scratch, { recursive: true, force: true });
    await unpack(source, scratch);
    addGenerated(port, scratch);
    checkPreImages(port, patches, scratch);
    await applyPatches(port, patches, scratch);
    if (port.kind === 'autoconf' && (touchesAutotools(patches) || lacksConfigure(scratch))) {
      await runTool(`regenerate configure of ${port.name}`, ['autoreconf', '-fi'], { cwd: scratch });
    }
    rmSync(tree, { recursive: true, force: true });
    renameSync(scratch, tree);
  });
}

/** What a release has and version control has not, but for what autoreconf makes. */
function addGenerated({ generated = {} }: Port, tree: string): void {
  for (const [file, content] of Object.entries(generated)) {
    const path = join(tree, file);
    if (!existsSync(path)) writeFileSync(path, content);
  }
}

/** The one tree that every variant is a copy of. */
export function treeDirectory(port: Port): string {
  return join(port.buildDirectory, 'tree');
}

/** Somebody's own tree may change at any time. */
function filesOf(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.filter((file) => !isGits(relative(folder, file))).sort();
}

function isGits(path: string): boolean {
  return path.split(sep)[0] === '.git';
}

/** Unpack a source into a folder. */
export async function unpack(source: Source, to: string): Promise<void> {
  if (source.kind === 'tree') {
    if (to.startsWith(`${source.path}/`)) {
      throw new UserError(`cannot build in ${to}, which is inside the source ${source.path}`, {
        hint: 'give another --output',
        exitCode: 2,
      });
    }
    cpSync(source.path, to, { recursive: true, filter: (path) => !isGits(relative(source.path, path)) });
    return;
  }
  mkdirSync(to, { recursive: true });
  const command = ['tar', '--extract', '--file', source.path, '--directory', to, '--strip-components=1'];
  await runTool(`unpack ${basename(source.path)}`, [...command, '--no-same-owner']);
  if (readdirSync(to).length === 0)
    throw new UserError(`${source.path} holds no files below its top directory`);
}

/** Apply patches to a tree in their order. */
export async function applyPatches(port: Port, patches: string[], tree: string): Promise<void> {
  for (const patch of patches) await applyPatch(port, patch, tree);
}

async function applyPatch(port: Port, patch: string, tree: string): Promise<void> {
  const args = ['-p1', '--fuzz=0', '--forward', '--batch', '--no-backup-if-mismatch', '--reject-file=-'];
  try {
    await execa('patch', [...args, '--input', patch], { cwd: tree, all: true, env: { LC_ALL: 'C' } });
  } catch (error) {
    if (!(error instanceof ExecaError) || error.code === 'ENOENT') throw error;
    throw patchFailure(port, patch, String(error.all));
  }
}

/** Say which patch, file and hunk; the words are those of GNU patch in the C locale. */
function patchFailure(port: Port, patch: string, output: string): UserError {
  const places = failedPlaces(output);
  const where = places.length > 0 ? places.join(', ') : output.trim();
  return new UserError(`patch ${basename(patch)} does not apply to ${port.name}: ${where}`, {
    hint: `the patches are for ${port.name} ${port.version}: build that version, or make the patch anew against this source`,
  });
}

function failedPlaces(output: string): string[] {
  const places: string[] = [];
  let file = '?';
  for (const line of output.split('\n')) {
    file = /^(?:patching|checking) file (.+)$/.exec(line)?.[1] ?? file;
    const hunk = /^Hunk #(\d+) (?:FAILED at|ignored at) (\d+)/.exec(line);
    if (hunk) places.push(`${file}, hunk ${hunk[1]} (line ${hunk[2]})`);
    if (/^can't find file to patch/.test(line)) places.push('it changes a file that is not there');
    const missing = /^\|\+\+\+ b\/(\S+)/.exec(line);
    if (missing) places.push(`${missing[1]}, every hunk`);
    if (/malformed patch|Only garbage/.test(line)) places.push(line.trim());
  }
  return places;
}

function touchesAutotools(patches: string[]): boolean {
  const autotools = /^\+\+\+ b\/(?:.*\/)?(?:configure\.ac|Makefile\.am|.*\.m4)$/m;
  return patches.some((patch) => autotools.test(readFileSync(patch, 'utf8')));
}

/** A tree from version control has not what a release's makers generate. */
function lacksConfigure(tree: string): boolean {
  return !existsSync(join(tree, 'configure'));
}
