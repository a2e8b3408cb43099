import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../base/errors.js';
import { buildDir } from '../base/paths.js';
import { runTool } from '../base/tool.js';

/** An original tarball in a Debian source package. */
export type OriginalTarball = { version: string; file: string; sha256: string };

type Mirror = { uri: string; release: string; component: string; trust: string; origin: string };

/**
 * Fetch the original tarball of a Debian source package from the mirrors this machine already uses. The lists of
 * sources that this needs are kept under build/apt: the machine's own configuration is only read.
 *
 * @param release the Debian release to take it from, instead of those that this machine uses
 */
export async function downloadSource(
  name: string,
  { version, file }: Pick<OriginalTarball, 'version' | 'file'>,
  to: string,
  release?: string,
): Promise<void> {
  const options = await updateLists('deb-src', release);
  const revision = await findRevision(options, name, version);
  mkdirSync(dirname(to), { recursive: true });
  const scratch = mkdtempSync(join(aptFolder('deb-src', release), 'source-'));
  try {
    const command = ['apt-get', ...options, 'source', '--download-only', '--tar-only', `${name}=${revision}`];
    await runTool(`fetch the source of ${name}`, command, { cwd: scratch });
    if (!existsSync(join(scratch, file)))
      throw new UserError(`source package ${name} ${revision} has no ${file}`);
    renameSync(join(scratch, file), to);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * Fetch what Debian adds to a version's original tarball (name_revision.debian.tar.*), in its newest packaging.
 *
 * @param to the folder for it
 * @returns the file
 */
export async function downloadPackaging(
  name: string,
  version: string,
  to: string,
  release?: string,
): Promise<string> {
  const options = await updateLists('deb-src', release);
  const revision = await findRevision(options, name, version);
  mkdirSync(to, { recursive: true });
  const scratch = mkdtempSync(join(aptFolder('deb-src', release), 'packaging-'));
  try {
    const command = [
      'apt-get',
      ...options,
      'source',
      '--download-only',
      '--diff-only',
      `${name}=${revision}`,
    ];
    await runTool(`fetch the packaging of ${name}`, command, { cwd: scratch });
    const file = readdirSync(scratch).find((candidate) => /\.debian\.tar\.\w+$/.test(candidate));
    if (!file) {
      throw new UserError(
        `source package ${name} ${revision} has no .debian.tar, so no patches in a series`,
        {
          hint: 'leave debian.patches out of port.json',
        },
      );
    }
    renameSync(join(scratch, file), join(to, file));
    return join(to, file);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What a Debian release has of a source package now, as its signed index says. */
export async function findOriginal(name: string, release: string): Promise<OriginalTarball> {
  const options = await updateLists('deb-src', release);
  const revision = await findRevision(options, name);
  const command = ['apt-cache', ...options, 'showsrc', '--only-source', name];
  const stanzas = (await runTool(`look the source of ${name} up`, command)).split('\n\n');
  const stanza = stanzas.find((text) => text.includes(`\nVersion: ${revision}\n`)) ?? '';
  const line = /^ (?<sha256>[0-9a-f]{64}) \d+ (?<file>\S+\.orig\.tar\.\w+)$/m.exec(stanza);
  if (!line?.groups) throw new UserError(`source package ${name} ${revision} has no original tarball`);
  const { sha256, file } = line.groups as { sha256: string; file: string };
  return { version: revision.replace(/-[^-]*$/, ''), file, sha256 };
}

/** Options that make apt's tools look into the lists of another Debian release, which are fetched. */
export function packageLists(release: string): Promise<string[]> {
  return updateLists('deb', release);
}

/**
 * Download a binary package as another Debian release has it, and unpack it into a folder without installing it.
 */
export async function unpackPackageOf(release: string, name: string, to: string): Promise<void> {
  const options = await updateLists('deb', release);
  const scratch = mkdtempSync(join(aptFolder('deb', release), 'package-'));
  try {
    await runTool(`download ${name} of ${release}`, ['apt-get', ...options, 'download', name], {
      cwd: scratch,
    });
    const [archive = ''] = readdirSync(scratch);
    await runTool(`unpack ${archive}`, ['dpkg-deb', '--extract', join(scratch, archive), to]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Which packages a list is of: as apt's sources.list names them. */
type ListOf = 'deb' | 'deb-src';

function aptFolder(kind: ListOf, release?: string): string {
  const parts = ['apt', ...(kind === 'deb' ? ['binary'] : []), ...(release === undefined ? [] : [release])];
  return join(buildDir, parts.join('-'));
}

/** Options for apt's tools that make them use lists and mirrors of our own. */
async function updateLists(kind: ListOf, release?: string): Promise<string[]> {
  const apt = aptFolder(kind, release);
  const mirrors = await askForMirrors();
  mkdirSync(join(apt, 'lists/partial'), { recursive: true });
  mkdirSync(join(apt, 'cache/archives/partial'), { recursive: true });
  const wanted = release === undefined ? mirrors : mirrorsOf(release, mirrors);
  const lines = new Set(wanted.map((m) => `${kind} ${m.trust}${m.uri} ${m.release} ${m.component}`));
  writeFileSync(join(apt, 'sources.list'), `${[...lines].join('\n')}\n`);
  const options = [
    ...['-o', `Dir::Etc::SourceList=${join(apt, 'sources.list')}`, '-o', 'Dir::Etc::SourceParts=/dev/null'],
    ...['-o', `Dir::State::Lists=${join(apt, 'lists')}`, '-o', `Dir::Cache=${join(apt, 'cache')}`],
    // Our files need not be readable by apt's own user.
    ...['-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Languages=none', '-q'],
    // What is installed here is no candidate for what another release has.
    ...(kind === 'deb' ? ['-o', 'Dir::State::status=/dev/null'] : []),
  ];
  await runTool('refresh the lists of packages', ['apt-get', ...options, 'update']);
  return options;
}

/** apt's own tool lists the mirrors, whatever format they are configured in. */
async function askForMirrors(): Promise<Mirror[]> {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT) signed-by=$(SIGNED_BY) $(ORIGIN)';
  const query = ['apt-get', 'indextargets', '--format', format, 'Created-By: Packages'];
  const targets = await runTool('ask apt for its mirrors', query);
  return targets.split('\n').filter(Boolean).map(parseMirror);
}

function parseMirror(target: string): Mirror {
  const [uri = '', release = '', component = '', signedBy = '', origin = ''] = target.split(' ');
  // apt leaves the word as it is where the mirror names no key of its own.
  const trust = signedBy.includes('$(') || signedBy === 'signed-by=' ? '' : `[${signedBy}] `;
  return { uri, release, component, trust, origin };
}

/** Debian's mirrors serve every release side by side; those of updates and other makers are left out. */
function mirrorsOf(release: string, mirrors: Mirror[]): Mirror[] {
  const debian = mirrors.filter(
    (m) => m.origin === 'Debian' && m.component === 'main' && !/[-/]/.test(m.release),
  );
  if (debian.length > 0) return debian.map((mirror) => ({ ...mirror, release }));
  throw new UserError('apt on this machine uses no mirror of Debian', {
    hint: 'run apt-get update if it never was, or give the tarball with --source',
  });
}

/** The newest packaging of a version: a security update keeps the original tarball and replaces the old packaging. */
async function findRevision(options: string[], name: string, version?: string): Promise<string> {
  const table = await runTool(`look ${name} up`, ['apt-cache', ...options, 'madison', name]);
  const revisions = table.split('\n').map((line) => line.split('|')[1]?.trim() ?? '');
  const found = revisions.filter(Boolean);
  const revision = found.find((candidate) => version === undefined || candidate.startsWith(`${version}-`));
  if (revision) return revision;
  throw new UserError(`the mirrors have no source package ${name}${version ? ` ${version}` : ''}`, {
    hint: `give the tarball with --source; they have: ${found.join(', ') || 'none'}`,
  });
}
