import { describeInGuest, isThorough } from './suite.js';

/* What the host tests on its engines, or some of it. Each server is tested on one of the kernels: guests are slow. */
const usual = ['responses', 'bodies', 'connections', 'large', 'lwsockets', 'proxy'];
const files = isThorough ? ['test/nginx'] : usual.map((name) => `test/nginx/${name}.test.ts`);

await describeInGuest('nginx on engine kernel, Linux 6.1', files, { kernel: '6.1' });
