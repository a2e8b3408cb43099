import { withBuildLock } from '../base/build-lock.js';
import { runTasks, type Task } from '../base/tasks.js';
import { benchProgramsTask, libraryTask, loadgenTask } from '../build/native.js';
import { packageTasks } from '../debian/install.js';
import type { Purpose } from '../debian/packages.js';
import { loadPort, type Port, portNames } from '../port/port.js';
import { portTasks, variantTask } from '../port/tasks.js';
import { kernelNames } from '../vm/kernel.js';
import { moduleTask } from '../vm/module.js';
import { guestTasks } from '../vm/prepare.js';

/** Make this machine ready for a purpose: what is there already is left alone. */
export async function setUp(purpose: Purpose): Promise<void> {
  // Packages first, under the lock too: the builds need them.
  await withBuildLock(async () =>
    runTasks([...packageTasks(purpose, portPackages(purpose)), ...buildTasks(purpose)]),
  );
}

function portPackages(purpose: Purpose): string[] {
  return purpose === 'lint' ? [] : portNames().flatMap((name) => loadPort(name).packages);
}

function buildTasks(purpose: Purpose): Task[] {
  if (purpose === 'lint') return [];
  const ports = portNames().map((name) => loadPort(name));
  const plain = ports.flatMap((port) => portTasks(port, { variant: 'all' }));
  const native = [libraryTask(), loadgenTask(), benchProgramsTask(), ...plain];
  if (purpose !== 'test') return native;
  const sanitized = ports.map((port) => variantTask(port, 'megapipe', { variant: 'all', sanitize: true }));
  const guests = [...guestTasks(), ...kernelNames.map((name) => moduleTask(name))];
  const others = ports.flatMap(otherReleases);
  const newer = others.flatMap((port) => portTasks(port, { variant: 'megapipe' }));
  const more = [libraryTask(true), ...sanitized, ...newer];
  return [...native, ...more, ...guests];
}

/** The port's versions that are other stable releases' of Debian: sid's comes and goes. */
function otherReleases({ name, version, versions }: Port): Port[] {
  const others = Object.keys(versions).filter((one) => {
    const debian = versions[one]?.debian;
    return one !== version && debian !== undefined && debian.release !== 'sid';
  });
  return others.map((one) => loadPort(name, one));
}
