import { withBuildLock } from '../../base/build-lock.js';
import { runTasks, type Task } from '../../base/tasks.js';
import { benchProgramsTask, libraryTask } from '../../build/native.js';
import { packageTasks } from '../../debian/install.js';
import { loadPort } from '../../port/port.js';
import { portTasks } from '../../port/tasks.js';
import type { KernelName } from '../../vm/kernel.js';
import { moduleTask } from '../../vm/module.js';
import { guestTasks } from '../../vm/prepare.js';
import { enginesOf, type GuestPlan } from './plan.js';

/** Make ready what a plan needs: what is there already is left alone. */
export async function setUpGuestBench(plan: GuestPlan, kernel: KernelName): Promise<void> {
  const packages = plan.subject === 'echo' ? [] : loadPort(plan.subject, plan.version).packages;
  await withBuildLock(() => runTasks([...packageTasks('test', packages), ...buildTasks(plan, kernel)]));
}

function buildTasks(plan: GuestPlan, kernel: KernelName): Task[] {
  const { subject, version } = plan;
  // Another version is built already: whoever built it knows where its source is.
  const port =
    subject === 'echo' || version !== undefined ? [] : portTasks(loadPort(subject), { variant: 'all' });
  const module = enginesOf(plan).includes('kernel') ? [moduleTask(kernel)] : [];
  return [libraryTask(), benchProgramsTask(), ...port, ...guestTasks(), ...module];
}
