import type { Grid } from './application.js';

/** Held open at a time: the paper's connections of each of its client machines. */
export const connections = 256;

/** A workload's points on all cores in a closed loop, as far as nothing else is said. */
export function gridOf(own: Pick<Grid, 'workload' | 'requestsPerConnection'> & Partial<Grid>): Grid {
  return { messageBytes: [null], cores: 'all', connections: [connections], rate: [null], ...own };
}
