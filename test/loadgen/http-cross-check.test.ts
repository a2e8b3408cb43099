import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { root } from '../../src/base/paths.js';
import { testOnEngines } from './engines.js';
import { loadHttp } from './loadgen.js';
import { type StockNginx, startNginx } from './stock-nginx.js';

// What others say they did, what we say, and what nginx says; speeds are compared by measure-against-wrk.ts.

let server: StockNginx;
beforeAll(async () => {
  server = await startNginx({ server: 'location / { return 200 "small answer"; }' });
});
afterAll(() => server.stop());

const connections = 10;
const bodyBytes = 'small answer'.length;

test('autocannon, wrk and nginx agree on what a request is', async () => {
  const autocannonSaid = await server.counted(async () => {
    const program = join(root, 'node_modules/autocannon/autocannon.js');
    const args = ['--json', '--amount', '2000', '--connections', String(connections), '--timeout', '120'];
    const { stdout } = await execa(process.execPath, [program, ...args, `${server.url}/`]);
    const said = z.object({
      '2xx': z.number(),
      errors: z.number(),
      requests: z.object({ total: z.number() }),
    });
    return said.parse(JSON.parse(stdout));
  });
  expect(autocannonSaid.result).toEqual({ '2xx': 2000, errors: 0, requests: { total: 2000 } });
  expect(autocannonSaid).toMatchObject({ requests: 2000, accepts: connections });

  const wrkSaid = await server.counted(async () => {
    const args = ['-t', '1', '-c', String(connections), '-d', '1s', '--timeout', '120s', `${server.url}/`];
    const { stdout } = await execa('wrk', args);
    return Number(/(\d+) requests in /.exec(stdout)?.[1]);
  });
  // It goes while a request a connection is on its way.
  expect(wrkSaid.requests).toBeGreaterThanOrEqual(wrkSaid.result);
  expect(wrkSaid.requests).toBeLessThanOrEqual(wrkSaid.result + connections);
});

testOnEngines('we agree with nginx, asked in the same ways', async (engine) => {
  const same = ['--concurrency', String(connections), '--threads', '1', '--engine', engine];
  const counted = await server.counted(() => loadHttp([`${server.url}/`, ...same, '--requests', '2000']));
  expect(counted).toMatchObject({ requests: 2000, accepts: connections });
  expect(counted.result).toMatchObject({
    requests: { total: 2000, failed: 0 },
    statuses: { 200: 2000 },
    bodyBytes: 2000 * bodyBytes,
  });

  const timed = await server.counted(() => loadHttp([`${server.url}/`, ...same, '--duration', '1']));
  const { total, failed } = timed.result.whole.requests;
  // Where nginx is kept from its CPU, some of the last ones are not read when the run gives up on them.
  expect(timed.requests).toBeGreaterThanOrEqual(total);
  expect(timed.requests).toBeLessThanOrEqual(total + failed);
  expect(failed).toBeLessThanOrEqual(connections);
});
