import type { PlanChoices } from '../../src/bench/plan.js';

/** The quick preset, of which nothing is chosen otherwise. */
export const choices: PlanChoices = {
  preset: 'quick',
  engines: ['uring', 'epoll'],
  topologies: undefined,
  grid: {},
  variants: undefined,
  fineGrainedLocks: undefined,
  samples: undefined,
  budgetMs: undefined,
  durationMs: undefined,
};
