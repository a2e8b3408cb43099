import { withBuildLock } from '../base/build-lock.js';
import { runTasks, type Task } from '../base/tasks.js';
import { benchProgramsTask, libraryTask, loadgenTask } from '../build/native.js';
import { packageTasks } from '../debian/install.js';
import type { Purpose } from '../debian/packages.js';
import { loadPort, type Port, portNames } from '../port/port.js';
import { portForRelease } from '../port/release.js';
import { portTasks, variantTask } from '../port/tasks.js';
import { kernelNames } from '../vm/kernel.js';
import { moduleTask } from '../vm/module.js';
import { guestTasks } from '../vm/prepare.js';

/** Make this machine ready for a purpose: what is there already is left alone. */
export async function setUp(purpose: Purpose): Promise<void> {
  // Packages first, under the lock too: the builds need them.
  await withBuildLock(async () => runTasks([...packageTasks(purpose), ...(await buildTasks(purpose))]));
}

async function buildTasks(purpose: Purpose): Promise<Task[]> {
  if (purpose === 'lint') return [];
  const ports = portNames().map((name) => loadPort(name));
  const plain = ports.flatMap((port) => portTasks(port, { variant: 'all' }));
  const native = [libraryTask(), loadgenTask(), benchProgramsTask(), ...plain];
  if (purpose !== 'test') return native;
  const sanitized = ports.map((port) => variantTask(port, 'megapipe', { variant: 'all', sanitize: true }));
  const guests = [...guestTasks(), ...kernelNames.map((name) => moduleTask(name))];
  const more = [libraryTask(true), ...sanitized, ...(await releaseTasks(ports))];
  return [...native, ...more, ...guests];
}

/** That our part still fits what other releases of the distribution have. */
async function releaseTasks(ports: Port[]): Promise<Task[]> {
  const newer = ports.flatMap((port) => Object.keys(port.releases).map((name) => portForRelease(port, name)));
  return (await Promise.all(newer)).flatMap((port) => portTasks(port, { variant: 'megapipe' }));
}
