import { defineConfig } from 'vitest/config';
import { skipsAndTotals } from './test/reporter.js';
import { guestReporter } from './test/vm/guest-reporter.js';

const guests = ['test/vm/*.test.ts', 'test/kernel/*.test.ts', 'test/libmegapipe/guest.test.ts'];

// Files run one after another: most of them start servers and load, and share two cores. But an emulated machine takes
// one core, and minutes: those go on beside the others. Vitest does that with pools of different kinds.
export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: { name: 'here', include: ['test/**/*.test.ts'], exclude: guests, pool: 'forks' },
      },
      { extends: true, test: { name: 'guests', include: guests, pool: 'threads' } },
    ],
    fileParallelism: false,
    setupFiles: ['test/turn.ts'],
    // Limits end what hangs; no test is about them, on however slow a machine.
    testTimeout: 360_000,
    hookTimeout: 600_000,
    teardownTimeout: 120_000,
    expect: { poll: { timeout: 120_000 } },
    // In a guest, for the host's run to read: see test/vm/suite.ts.
    reporters: process.env.MEGAPIPE_TEST_ENGINE ? [guestReporter] : ['default', skipsAndTotals],
  },
});
