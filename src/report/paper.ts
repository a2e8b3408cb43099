// What the paper says in words and tables, as far as this report can be set beside it. Its figures have no numbers
// that could be read off honestly.

/** A statement of the paper about memcached, and where it stands. */
export type PaperStatement = { says: string; where: string };

export const paperOnMemcached: readonly PaperStatement[] = [
  { says: 'between 15 % and 320 % more throughput for a modified version of memcached', where: 'abstract' },
  {
    says: 'no more throughput on persistent connections with eight cores, where memcached’s global lock is the limit',
    where: 'section 5.2, on Fig. 5',
  },
  { says: 'about 16 % more on a single core, persistent connections', where: 'section 5.2, on Fig. 5' },
  {
    says: '15 % more on persistent connections without the global lock, from batching alone',
    where: 'section 5.2, on Fig. 5 (-FL)',
  },
];

/** How the paper's numbers came about: not as ours did. */
export const paperSetting =
  'memcached 1.4.13 on eight cores, Linux 3.1.3 with a module, 3 client machines with 256 connections each over ' +
  '10 Gb/s Ethernet, against stock memcached with a fix of its fairness';

/** Table 3: gains in throughput over the baseline, in percent. Of the echo microbenchmark, not of memcached. */
export const paperTable3 = {
  points: [1, 2, 4, 8, 16, 32, 64, 128],
  rows: [
    { label: '+P', gains: [211.6, 207.5, 181.3, 83.5, 38.9, 29.5, 17.2, 8.8] },
    { label: 'P +B', gains: [18.8, 22.8, 72.4, 44.6, 31.8, 30.4, 27.3, 19.8] },
    { label: 'PB +L', gains: [352.1, 230.5, 79.3, 22.0, 9.7, 2.9, 0.4, 0.1] },
    { label: 'Total', gains: [582.4, 460.8, 333.1, 150.1, 80.4, 62.8, 45.0, 28.7] },
  ],
} as const;
