import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from './errors.js';
import { buildDir } from './paths.js';
import { runTool } from './tool.js';

/**
 * Fetch the original tarball of a Debian source package from the mirrors this machine already uses. The lists of
 * sources that this needs are kept under build/apt: the machine's own configuration is only read.
 */
export async function downloadSource(name: string, version: string, file: string, to: string): Promise<void> {
  const apt = join(buildDir, 'apt');
  const options = await privateApt(apt);
  await runTool('list the source packages', ['apt-get', ...options, 'update']);
  const revision = await findRevision(options, name, version);
  mkdirSync(dirname(to), { recursive: true });
  const scratch = mkdtempSync(join(apt, 'source-'));
  try {
    const command = ['apt-get', ...options, 'source', '--download-only', `${name}=${revision}`];
    await runTool(`fetch the source of ${name}`, command, { cwd: scratch });
    if (!existsSync(join(scratch, file)))
      throw new UserError(`source package ${name} ${revision} has no ${file}`);
    renameSync(join(scratch, file), to);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** apt's own tool lists the mirrors, whatever format they are configured in; we ask them for sources too. */
async function privateApt(apt: string): Promise<string[]> {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT) signed-by=$(SIGNED_BY)';
  const query = ['apt-get', 'indextargets', '--format', format, 'Created-By: Packages'];
  const targets = await runTool('ask apt for its mirrors', query);
  mkdirSync(join(apt, 'lists/partial'), { recursive: true });
  mkdirSync(join(apt, 'cache/archives/partial'), { recursive: true });
  const lines = [...new Set(targets.split('\n').filter(Boolean))].map(sourceLine);
  writeFileSync(join(apt, 'sources.list'), `${lines.join('\n')}\n`);
  return [
    ...['-o', `Dir::Etc::SourceList=${join(apt, 'sources.list')}`, '-o', 'Dir::Etc::SourceParts=/dev/null'],
    ...['-o', `Dir::State::Lists=${join(apt, 'lists')}`, '-o', `Dir::Cache=${join(apt, 'cache')}`],
    // Our files need not be readable by apt's own user.
    ...['-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Languages=none', '-q'],
  ];
}

function sourceLine(target: string): string {
  const [uri, release, component, signedBy] = target.split(' ') as [string, string, string, string];
  // apt leaves the word as it is where the mirror names no key of its own.
  const trust = signedBy.includes('$(') || signedBy === 'signed-by=' ? '' : `[${signedBy}] `;
  return `deb-src ${trust}${uri} ${release} ${component}`;
}

/** The newest packaging of a version: a security update keeps the original tarball and replaces the old packaging. */
async function findRevision(options: string[], name: string, version: string): Promise<string> {
  const table = await runTool(`look ${name} up`, ['apt-cache', ...options, 'madison', name]);
  const revisions = table.split('\n').map((line) => line.split('|')[1]?.trim() ?? '');
  const revision = revisions.find((candidate) => candidate.startsWith(`${version}-`));
  if (revision) return revision;
  throw new UserError(`the mirrors of this machine have no source package ${name} ${version}`, {
    hint: `give the tarball with --source; they have: ${revisions.filter(Boolean).join(', ') || 'none'}`,
  });
}
