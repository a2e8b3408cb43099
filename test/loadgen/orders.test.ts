import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { echoResultSchema } from '../../loadgen/echo-result.js';
import { root } from '../../src/base/paths.js';
import { startEcho } from './fake-echo.js';

test('loads are carried out one after another by one process, which a wrong one does not end', async () => {
  const server = await startEcho((socket, chunk) => void socket.write(chunk));
  onTestFinished(() => server.stop());
  const echo = (...more: string[]) =>
    JSON.stringify(['echo', '--server', server.address, '--concurrency', '4', '--json', ...more]);
  const orders = [
    echo('--requests', '300', '--events'),
    echo('--requests', 'many'),
    'nonsense',
    '["orders"]',
    '["postfix"]',
    echo('--requests', '200', '--seed', '2'),
  ];
  const command = [join(root, 'src/bootstrap.js'), 'load', 'orders'];
  const { stdout, stderr, exitCode } = await execa(process.execPath, command, {
    input: `${orders.join('\n')}\n`,
    reject: false,
  });
  expect(exitCode, stderr).toBe(0);
  const results = stdout.split('\n').map((line) => echoResultSchema.parse(JSON.parse(line)));
  // What one order was told, the next one has not.
  expect(results.map(({ requests }) => requests.total)).toEqual([300, 200]);
  const events = stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  expect(events.map(({ event }) => event)).toEqual([
    'measuring',
    'measured',
    ...orders.map(() => 'finished'),
  ]);
  expect(events[1].cpuUs).toBeGreaterThanOrEqual(events[0].cpuUs);
  expect(events.slice(2).map(({ error }) => error)).toEqual([
    null,
    expect.stringContaining('--requests must be a whole number'),
    expect.stringContaining('"nonsense" is no load'),
    expect.stringContaining('an order is a load'),
    expect.stringContaining('postfix'),
    null,
  ]);
});
