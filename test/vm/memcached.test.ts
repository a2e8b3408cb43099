import { describeInGuest, isThorough } from './suite.js';

/* What the host tests on its engines; upstream's own tests, which sleep a lot, are for who asks. */
const usual = ['traffic', 'connections', 'stopping'];
const files = isThorough ? ['test/memcached'] : usual.map((name) => `test/memcached/${name}.test.ts`);

await describeInGuest('memcached on engine kernel, Linux 6.12', files, { kernel: '6.12' });
