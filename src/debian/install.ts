import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { UserError } from '../base/errors.js';
import { buildDir } from '../base/paths.js';
import { runStep } from '../base/stamp.js';
import { outcomeOf, type Task } from '../base/tasks.js';
import { runTool } from '../base/tool.js';
import { debianPackages, type Purpose, packagesFor, unpackedPackages } from './packages.js';

const aptEnvironment = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };

/**
 * Install what a purpose needs of Debian's packages; nothing is asked of the network when all is there.
 *
 * @param more what is needed beside, such as what the ports are built with
 */
export function packageTasks(purpose: Purpose, more: string[] = []): Task[] {
  const wanted = packagesFor(purpose, debianPackages).map(({ name }) => name);
  const unpacked = packagesFor(purpose, unpackedPackages);
  return [
    installTask([...wanted, ...more]),
    ...unpacked.map(({ name, unless }) => ({
      title: `${name} of the distribution`,
      run: () => (unless === undefined ? unpackPackage(name) : installOrUnpack(unless, name)),
    })),
  ];
}

/** Install packages that are missing. */
export function installTask(names: string[]): Task {
  return { title: 'Debian packages', run: () => installMissing([...new Set(names)]) };
}

/** The root of a package that was unpacked and not installed: usr/bin and so on are below it. */
export function unpackedRoot(name: string): string {
  return join(buildDir, 'distro', name);
}

/** Those of the named packages that are neither installed nor provided by one that is, under a name of another release. */
export async function missingPackages(names: string[]): Promise<string[]> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const format = '${db:Status-Status} ${Package}, ${Provides}\n';
  const query = await execa('dpkg-query', ['--show', '--showformat', format], { reject: false });
  if (query.code === 'ENOENT') throw notDebian(names);
  const there = [...query.stdout.matchAll(/^installed (.*)$/gm)].flatMap(([, list = '']) => list.split(', '));
  // A provided name may have a version behind it: libelf1 (= 0.192-4).
  const provided = new Set(there.map((name) => name.split(' ')[0]));
  return names.filter((name) => !provided.has(name));
}

async function installMissing(names: string[]) {
  const missing = await missingPackages(names);
  if (missing.length === 0) return 'up to date' as const;
  if (process.getuid?.() !== 0) {
    throw new UserError(
      `these Debian packages are missing, and only root can install them: ${missing.join(', ')}`,
      {
        hint: `run: sudo apt-get install -y --no-install-recommends ${missing.join(' ')}`,
      },
    );
  }
  await withFreshLists(() => aptGet(['install', '-y', '--no-install-recommends', ...missing]));
  return 'done' as const;
}

function notDebian(names: string[]): UserError {
  return new UserError('this system has no dpkg and apt-get', {
    hint: `the set-up is for Debian 12 and 13; there it would run: apt-get install -y --no-install-recommends ${names.join(' ')}`,
  });
}

/** The machine's lists may be missing or old: refresh them when the first try fails, once. */
export async function withFreshLists<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    await aptGet(['update']);
    return await work();
  }
}

function aptGet(args: string[], cwd?: string): Promise<string> {
  const what = args[0] === 'update' ? 'refresh apt’s lists' : `${args[0]} Debian packages`;
  const command = ['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=300', ...args];
  return runTool(what, command, { env: aptEnvironment, ...(cwd ? { cwd } : {}) });
}

/** Install a package that some releases have, or unpack what others have in its place. */
async function installOrUnpack(name: string, instead: string) {
  if ((await missingPackages([name])).length === 0) return 'up to date' as const;
  if (existsSync(unpackedRoot(instead))) return unpackPackage(instead);
  // Without lists there are no candidates.
  if ((await withoutCandidate([name, instead])).length === 2) await aptGet(['update']);
  const lacks = await withoutCandidate([name]);
  return lacks.length === 0 ? installMissing([name]) : unpackPackage(instead);
}

async function withoutCandidate(names: string[]): Promise<string[]> {
  const { stdout } = await execa('apt-cache', ['policy', ...names], { env: aptEnvironment });
  const found = [...stdout.matchAll(/^(\S+):\n.*\n {2}Candidate: (?!\(none\))/gm)].map(([, name]) => name);
  return names.filter((name) => !found.includes(name));
}

async function unpackPackage(name: string) {
  const to = unpackedRoot(name);
  const step = { stamp: `${to}.stamp`, inputs: [], outputs: [to] };
  return outcomeOf(await runStep(step, () => downloadAndUnpack(name, to)));
}

async function downloadAndUnpack(name: string, to: string): Promise<void> {
  await withFreshLists(() => unpackPackages([name], to));
}

/**
 * Download packages as they are on the mirror now, and unpack them into one folder without installing them.
 *
 * @param lists apt's options for the lists to find them in; this machine's own without
 */
export async function unpackPackages(names: string[], to: string, lists: string[] = []): Promise<void> {
  mkdirSync(to, { recursive: true });
  const scratch = mkdtempSync(`${to}-download-`);
  try {
    await aptGet([...lists, '-o', 'APT::Sandbox::User=root', 'download', ...names], scratch);
    const archives = readdirSync(scratch).filter((file) => file.endsWith('.deb'));
    if (archives.length < names.length)
      throw new UserError(`apt-get download ${names.join(' ')} left too little`);
    for (const archive of archives) {
      await runTool(`unpack ${archive}`, ['dpkg-deb', '--extract', join(scratch, archive), to]);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
