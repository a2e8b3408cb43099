import { setImmediate } from 'node:timers/promises';
import { beforeEach } from 'vitest';

/*
 * A worker that is kept busy and doesn't read vitest's answers for a minute makes vitest fail the run ("Timeout calling
 * onTaskUpdate"): many short tests in a row can do that on a slow machine. So there is a turn of the event loop before each.
 */
beforeEach(async () => {
  await setImmediate();
});
