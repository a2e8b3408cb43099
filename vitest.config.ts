import { defineConfig } from 'vitest/config';
import { skipsAndTotals } from './test/reporter.js';

// Files run one after another: most of them start servers and load, and share two cores.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 300_000,
    teardownTimeout: 30_000,
    reporters: ['default', skipsAndTotals],
  },
});
