// What the paper says in words and tables, as far as this report can be set beside it. Its figures have no numbers
// that could be read off honestly.

/** What the paper says of an application, where it says so, and how its numbers came about: not as ours did. */
type PaperOnApplication = { setting: string; statements: readonly { says: string; where: string }[] };

export const paperOn: Readonly<Record<string, PaperOnApplication>> = {
  echo: {
    setting:
      'an echo server on one to eight cores, Linux 3.1.3 with a module, 3 client machines with 256 connections each over ' +
      '10 Gb/s Ethernet, messages of 64 B, 10 transactions a connection unless said otherwise; against epoll with a ' +
      'listener that all threads share',
    statements: [
      {
        says: 'epoll: connections of a single transaction have about a nineteenth of the throughput of long ones',
        where: 'section 2.2, on Fig. 1a',
      },
      { says: 'epoll: a 1 KiB message costs about 2 % more than one of 64 B', where: 'section 2.2' },
      {
        says: 'epoll: a speed-up on eight cores of 1.3, 4.6 and 6.7 at 1, 10 and 128 transactions a connection',
        where: 'section 2.2, on Fig. 1c',
      },
      {
        says: 'MegaPipe: a speed-up on eight cores of 6.4 or more, however short connections are',
        where: 'section 5.1, on Fig. 3',
      },
      {
        says: '15 % to 33 % more than epoll on a single core, mostly by batching; more with small messages',
        where: 'section 5.1, on Fig. 4',
      },
      { says: 'batching alone brings about 15 % on long connections', where: 'section 5.1' },
    ],
  },
  memcached: {
    setting:
      'memcached 1.4.13 on eight cores, Linux 3.1.3 with a module, 3 client machines with 256 connections each over ' +
      '10 Gb/s Ethernet, against stock memcached with a fix of its fairness',
    statements: [
      {
        says: 'between 15 % and 320 % more throughput for a modified version of memcached',
        where: 'abstract',
      },
      {
        says: 'no more throughput on persistent connections with eight cores, where memcached’s global lock is the limit',
        where: 'section 5.2, on Fig. 5',
      },
      { says: 'about 16 % more on a single core, persistent connections', where: 'section 5.2, on Fig. 5' },
      {
        says: '15 % more on persistent connections without the global lock, from batching alone',
        where: 'section 5.2, on Fig. 5 (-FL)',
      },
    ],
  },
  nginx: {
    setting:
      'nginx 1.0.15 on one to eight cores, Linux 3.1.3 with a module, clients over two links of 10 Gb/s, against stock ' +
      'nginx, whose workers share an accept queue; stock nginx had no reuseport then',
    statements: [
      { says: '75 % more throughput for a workload of real HTTP traces', where: 'abstract' },
      { says: 'yahoo/2: 47 % more on one core, 75 % more on eight', where: 'section 5.3, on Fig. 7' },
      {
        says: 'yahoo/2: a parallel speed-up of 6.5 on eight cores, where stock nginx has 5.4',
        where: 'section 5.3, on Fig. 7',
      },
      {
        says: 'yahoo: five cores already fill the two links, so that eight show nothing more',
        where: 'section 5.3',
      },
      {
        says: 'all three workloads: significantly more, on a single core and on several; more with small messages',
        where: 'section 5.3, on Fig. 7',
      },
    ],
  },
};

/** Table 2: lines of code, and those changed. */
export const paperTable2: Readonly<Record<string, { version: string; total: number; changed: number }>> = {
  memcached: { version: '1.4.13', total: 9442, changed: 602 },
  nginx: { version: '1.0.15', total: 86_774, changed: 447 },
};

/** Table 3: gains in throughput over the baseline, in percent. Of the echo microbenchmark, not of an application. */
export const paperTable3 = {
  points: [1, 2, 4, 8, 16, 32, 64, 128],
  rows: [
    { label: '+P', gains: [211.6, 207.5, 181.3, 83.5, 38.9, 29.5, 17.2, 8.8] },
    { label: 'P +B', gains: [18.8, 22.8, 72.4, 44.6, 31.8, 30.4, 27.3, 19.8] },
    { label: 'PB +L', gains: [352.1, 230.5, 79.3, 22.0, 9.7, 2.9, 0.4, 0.1] },
    { label: 'Total', gains: [582.4, 460.8, 333.1, 150.1, 80.4, 62.8, 45.0, 28.7] },
  ],
} as const;
