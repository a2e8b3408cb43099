import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { UserError } from '../base/errors.js';
import { buildDir } from '../base/paths.js';
import { runStep, type Step } from '../base/stamp.js';
import { runTool } from '../base/tool.js';
import { unpackPackages, withFreshLists } from '../debian/install.js';
import { packageLists } from '../debian/source.js';

/** The kernels that guests run: Debian's, by the name of their series. */
export const kernelNames = ['6.1', '6.12'] as const;

/** Name of a kernel series. */
export type KernelName = (typeof kernelNames)[number];

/** A kernel that a guest can run. */
export type GuestKernel = {
  /** What `uname -r` says in the guest. */
  release: string;
  /** A file that qemu can start. */
  image: string;
  /** What modules are built against. */
  tree: string;
  /** The folder of the kernel's own modules; absent where it has none. */
  modules?: string;
  /**
   * Whether its CPUs may be emulated side by side. A kernel that patches its own text while it runs must have them
   * emulated by turns: else a CPU can meet a breakpoint of another one's patching that is gone already.
   */
  parallel: boolean;
};

/** The folder of everything that guests need and leave. */
export const vmDir = join(buildDir, 'vm');

/** Why this machine is none on which guests can run; undefined where it is one. */
export function whyNotThisMachine(): string | undefined {
  if (process.platform === 'linux' && process.arch === 'x64') return undefined;
  return `guests are for x86-64, and this is ${process.platform} on ${process.arch}`;
}

/** The release of Debian that a series is of: where this machine's own has it not, it is taken from there. */
const releaseOf: Record<KernelName, string> = { '6.1': 'bookworm', '6.12': 'trixie' };

const folderOf = (name: KernelName) => join(vmDir, 'kernel', name);

/** Getting a kernel, its modules and its headers, from Debian's mirrors; nothing is installed on this machine. */
export function kernelStep(name: KernelName): Step {
  const folder = folderOf(name);
  return { stamp: `${folder}.stamp`, inputs: [], parameters: 1, outputs: [join(folder, 'vmlinux')] };
}

/** Get a kernel unless it is there; true if it was not. A newer release on the mirror does not replace it. */
export function fetchKernel(name: KernelName): Promise<boolean> {
  return runStep(kernelStep(name), async () => {
    const folder = folderOf(name);
    rmSync(folder, { recursive: true, force: true });
    await unpackKernel(name, folder);
    moveModules(folder);
    const kernel = findKernel(name);
    makeMovable(kernel, join(folder, 'lib/modules', kernel.release));
    await listModules(kernel, folder);
    await unpackImage(join(folder, 'boot', `vmlinuz-${kernel.release}`), kernel.image);
  });
}

/** A kernel that was got before. */
export function findKernel(name: KernelName): GuestKernel {
  const folder = folderOf(name);
  const releases = join(folder, 'lib/modules');
  const [release] = existsSync(releases) ? readdirSync(releases) : [];
  if (!release) {
    throw new UserError(`kernel ${name} is not in ${folder}`, { hint: 'run: npx megapipe setup --for test' });
  }
  if (!release.startsWith(`${name}.`)) {
    throw new UserError(`what is in ${folder} is kernel ${release}, and not one of ${name}`, {
      hint: 'remove that folder and run: npx megapipe setup --for test',
    });
  }
  return {
    release,
    image: join(folder, 'vmlinux'),
    tree: join(folder, 'usr/src', `linux-headers-${release}`),
    modules: join(releases, release),
    parallel: false,
  };
}

async function unpackKernel(name: KernelName, to: string): Promise<void> {
  const unpack = async (lists: string[]) => {
    const packages = await kernelPackages(name, (one) => dependencies(one, lists));
    await unpackPackages(packages, to, lists);
  };
  try {
    await withFreshLists(() => unpack([]));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    await unpack(await packageLists(releaseOf[name]));
  }
}

/**
 * Of the newest release of a series all that belongs together; the mirrors keep no other.
 *
 * @param dependencies asks what a package depends on
 */
export async function kernelPackages(
  name: KernelName,
  dependencies: (name: string) => Promise<string[]>,
): Promise<string[]> {
  // Each depends on its newest release. The second is of the series that a release of Debian has by itself.
  for (const newest of [`linux-headers-${name}-amd64`, 'linux-headers-amd64']) {
    const headers = (await dependencies(newest)).find((each) => each.startsWith(`linux-headers-${name}.`));
    if (headers === undefined) continue;
    const parts = (await dependencies(headers)).filter((each) => /^linux-(headers|kbuild)-/.test(each));
    return [headers.replace('-headers-', '-image-'), headers, ...parts];
  }
  throw new UserError(`apt knows no kernel ${name}`, {
    hint: `guests need a mirror of Debian that has its release ${releaseOf[name]}`,
  });
}

async function dependencies(name: string, lists: string[]): Promise<string[]> {
  const kinds = ['--no-recommends', '--no-suggests', '--no-conflicts', '--no-breaks'];
  const command = [...lists, 'depends', ...kinds, name];
  const { stdout } = await execa('apt-cache', command, { reject: false });
  return [...stdout.matchAll(/^ *\|?Depends: (\S+)$/gm)].map(([, found]) => found ?? '');
}

/** Since Debian 13 packages have in usr/lib what was in lib, as it is where they are installed. */
function moveModules(folder: string): void {
  const newer = join(folder, 'usr/lib/modules');
  if (!existsSync(newer)) return;
  mkdirSync(join(folder, 'lib'), { recursive: true });
  renameSync(newer, join(folder, 'lib/modules'));
}

/** The headers expect to be installed: make them find their other half beside them. */
function makeMovable({ tree, release }: GuestKernel, modules: string): void {
  const makefile = join(tree, 'Makefile');
  const here = '$(dir $(lastword $(MAKEFILE_LIST)))../';
  writeFileSync(makefile, readFileSync(makefile, 'utf8').replace('/usr/src/', here));
  rmSync(join(modules, 'build'), { force: true });
  symlinkSync(`../../../usr/src/linux-headers-${release}`, join(modules, 'build'));
}

/** What a package's installation would do: tell modprobe which module needs which. */
async function listModules({ release }: GuestKernel, folder: string): Promise<void> {
  await runTool(`list the modules of ${release}`, ['depmod', '--basedir', folder, release]);
}

/**
 * Unpack the kernel from the image that a boot loader would start. qemu starts either, but unpacking takes an emulated
 * CPU 0.6 s (zstd) to 2.5 s (xz).
 */
async function unpackImage(bzImage: string, to: string): Promise<void> {
  const image = readFileSync(bzImage);
  // Offsets are those of the kernel's Documentation/arch/x86/boot.rst; the payload ends with its unpacked length.
  const sectors = image.readUInt8(0x1f1);
  const start = (sectors + 1) * 512 + image.readUInt32LE(0x248);
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4);
  const tool = payload.readUInt32LE(0) === 0xfd2fb528 ? 'zstd' : 'xz';
  const unpacked = await execa(tool, ['--decompress', '--stdout'], {
    input: payload,
    encoding: 'buffer',
    maxBuffer: 2 ** 30,
  });
  writeFileSync(to, unpacked.stdout);
}
