import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, expect } from 'vitest';
import { buildDir, root } from '../../src/base/paths.js';
import { type Instructions, readCounts } from '../../src/bench/guest/counts.js';
import { countPlugin } from '../../src/bench/guest/programs.js';
import { type CountedSample, readGuestResults } from '../../src/bench/guest/record.js';
import { runInGuest } from '../../src/vm/guest.js';
import { whyNoGuests } from '../../src/vm/prepare.js';
import { megapipe } from '../megapipe.js';
import { testUnless } from '../skip.js';

/** Where the guest sees it. */
mkdirSync(join(buildDir, 'test'), { recursive: true });
const scratch = mkdtempSync(join(buildDir, 'test', 'count-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const testInGuest = testUnless(whyNoGuests());

testInGuest('the plugin counts what is known to the instruction', async () => {
  const [program, counts] = [join(scratch, 'known'), join(scratch, 'counts')];
  await execa('gcc', ['-O1', '-static', '-o', program, join(root, 'test/vm/known.c')]);
  const { exitCode } = await runInGuest({
    command: [program],
    kernel: '6.12',
    module: false,
    icount: true,
    emulatorOptions: ['-plugin', `${countPlugin},out=${counts}`],
  });
  expect(exitCode).toBe(0);
  const [loop, calls, copy] = readCounts(counts).map(({ tasks }) => tasks.client);
  // Two instructions a turn of the loop, and a few around it.
  expect(loop?.user).toBeGreaterThanOrEqual(2_000_000);
  expect(loop?.user).toBeLessThan(2_000_020);
  expect(loop?.systemCalls).toBe(0);
  expect(calls?.systemCalls).toBe(1000);
  expect((calls?.user ?? 0) % 1000).toBeLessThan(20);
  expect(calls?.kernel).toBeGreaterThan(1000);
  expect(copy?.user).toBeLessThan(20);
  expect(copy?.repeats).toBeGreaterThanOrEqual(99_998);
  expect(copy?.repeats).toBeLessThanOrEqual(100_002);
});

function guestBench(file: string, args: string[]) {
  const few = ['--samples', '1', '--requests-per-connection', '1', '--out', file];
  return megapipe(['bench', 'guest', 'echo', '--no-setup', ...few, ...args]);
}

const executed = ({ user, kernel, repeats }: Instructions) => user + kernel + repeats;

testInGuest('echo is counted on each engine, and the guest’s clock agrees', async () => {
  const file = join(scratch, 'echo.ndjson');
  const { exitCode, stdout, stderr } = await guestBench(file, [
    '--variants',
    'epoll+PBL,uring+PBL,kernel+PBL',
  ]);
  expect(exitCode, stderr).toBe(0);
  const [results] = readGuestResults(file);
  expect(results?.failed).toEqual([]);
  expect(results?.end?.outcome).toBe('complete');
  expect(results?.head.guest.kernel).toMatch(/^6\.12\./);
  const ids = results?.counted.map(({ variant }) => variant.id);
  expect(ids).toEqual(['baseline', 'epoll+PBL', 'uring+PBL', 'kernel+PBL']);
  for (const id of ids ?? []) expect(stdout).toContain(id);
  for (const { transactions, connections, ns, tasks } of results?.counted ?? []) {
    expect(connections).toBe(transactions);
    const all = executed(tasks.client) + executed(tasks.server) + executed(tasks.kernelThreads);
    expect(all / ns).toBeGreaterThan(0.99);
    expect(all / ns).toBeLessThan(1.01);
  }
  const calls = ({ tasks, transactions }: CountedSample) => tasks.server.systemCalls / transactions;
  const [baseline, , uring, kernel] = (results?.counted ?? []).map(calls);
  expect(uring).toBeLessThan((baseline as number) / 4);
  expect(kernel).toBeLessThan((baseline as number) / 4);
});

testInGuest('a profile tells functions of the kernel, of the module and of the server', async () => {
  const args = ['--profile', '--variants', 'kernel+PBL'];
  const { exitCode, stdout, stderr } = await guestBench(join(scratch, 'profile.ndjson'), args);
  expect(exitCode, stderr).toBe(0);
  expect(stdout).toMatch(/^ +\d+\.\d {2}tcp_ack$/m);
  expect(stdout).toMatch(/^ +\d+\.\d {2}mp_\w+ \[megapipe\]$/m);
  expect(stdout).toMatch(/^ +\d+\.\d {2}mp_dispatch \(server\)$/m);
});
