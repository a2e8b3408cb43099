import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { apportion, spreadEvenly } from '../../loadgen/apportion.js';
import { contentOf, contentPattern, contentStart } from '../../loadgen/content.js';
import { createFileSet, fileSetBytes } from '../../loadgen/file-set.js';
import { parsePerConnection, perConnectionSeries } from '../../loadgen/per-connection.js';
import { seededRandom } from '../../loadgen/random.js';
import { type Workload, workload, workloadNames, workloadRequests } from '../../loadgen/workloads.js';
import { megapipe } from '../megapipe.js';
import { testOnEngines } from './engines.js';
import { loadHttp } from './loadgen.js';
import { startNginx } from './stock-nginx.js';

const KiB = 1024;
const MiB = 1024 * KiB;

const scratch = mkdtempSync(join(tmpdir(), 'megapipe-files-'));
chmodSync(scratch, 0o755);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

/** Over all requests of a round. */
function moments({ sizes, requests }: Workload) {
  const total = requests.reduce((a, b) => a + b, 0);
  const bytes = sizes.reduce((sum, size, i) => sum + size * (requests[i] ?? 0), 0);
  const large = sizes.reduce((sum, size, i) => sum + (size > 60 * KiB ? size * (requests[i] ?? 0) : 0), 0);
  return {
    total,
    mean: bytes / total,
    least: Math.min(...sizes),
    most: Math.max(...sizes),
    largeShare: large / bytes,
  };
}

function connectionMoments({ perConnection }: Workload) {
  const series = perConnectionSeries(perConnection, seededRandom(1, 1));
  const mean = series.reduce((a, b) => a + b, 0) / series.length;
  const tenOrLess = series.filter((n) => n <= 10).length / series.length;
  const most = series.reduce((a, b) => Math.max(a, b), 0);
  return { mean, tenOrLess, least: series.reduce((a, b) => Math.min(a, b)), most };
}

describe('the paper’s figures', () => {
  test('specweb: 6 requests a connection; 30 to 5,670 bytes, 704 on average', () => {
    const specweb = workload('specweb');
    const { total, mean, least, most } = moments(specweb);
    expect({ total, least, most }).toEqual({ total: workloadRequests, least: 30, most: 5670 });
    expect(Math.abs(mean - 704)).toBeLessThan(1);
    expect(connectionMoments(specweb)).toMatchObject({ mean: 6, least: 6, most: 6 });
  });

  test('yahoo: 1 to 1,597 requests a connection, 2.3 on average, 98 % at most 10', () => {
    const { mean, tenOrLess, least, most } = connectionMoments(workload('yahoo'));
    expect(mean).toBeCloseTo(2.3, 2);
    expect(tenOrLess).toBeCloseTo(0.98, 3);
    expect({ least, most }).toEqual({ least: 1, most: 1597 });
  });

  test('yahoo: 1 byte to 253 MiB, 12.5 KiB on average, half the bytes in answers over 60 KiB', () => {
    const { total, mean, least, most, largeShare } = moments(workload('yahoo'));
    expect({ total, least, most }).toEqual({ total: workloadRequests, least: 1, most: 253 * MiB });
    expect(mean / KiB).toBeCloseTo(12.5, 1);
    expect(largeShare).toBeCloseTo(0.5, 2);
  });

  test('yahoo/2: the same, halved', () => {
    const [whole, half] = [workload('yahoo'), workload('yahoo/2')];
    expect(moments(half).mean / KiB).toBeCloseTo(6.25, 1);
    expect(moments(half).most).toBe((253 * MiB) / 2);
    expect(half.perConnection).toEqual(whole.perConnection);
    expect([...half.requests]).toEqual([...whole.requests]);
  });

  test('need so much room', () => {
    const mebibytes = workloadNames.map((name) => Math.ceil(fileSetBytes(workload(name)) / MiB));
    expect(mebibytes).toEqual([1, 546, 273]);
  });
});

describe('what is drawn', () => {
  test('is apportioned to the last one', () => {
    expect([...apportion([3, 1], 100)]).toEqual([75, 25]);
    expect(apportion([1, 1, 1], 100).reduce((a, b) => a + b)).toBe(100);
    const tail = apportion(
      Array.from({ length: 1000 }, (_, i) => 1 / (i + 1) ** 2),
      10_000,
    );
    expect(tail.reduce((a, b) => a + b)).toBe(10_000);
    expect(tail.subarray(100).reduce((a, b) => a + b)).toBeGreaterThan(50);
  });

  test('is the same anywhere: each stretch has its share of each item', () => {
    const counts = [5000, 4000, 999, 1];
    const order = spreadEvenly(counts, seededRandom(1, 2));
    counts.forEach((count, item) => {
      expect(order.filter((one) => one === item)).toHaveLength(count);
    });
    const stretch = order.subarray(4000, 5000);
    expect(Math.abs(stretch.filter((one) => one === 0).length - 500)).toBeLessThan(5);
    expect(Math.abs(stretch.filter((one) => one === 2).length - 100)).toBeLessThan(5);
  });

  test.for([
    ['5', { 5: 1 }],
    ['uniform:2-4', { 2: 1 / 3, 3: 1 / 3, 4: 1 / 3 }],
    ['zipf:1,3', { 1: 6 / 11, 2: 3 / 11, 3: 2 / 11 }],
    ['zipf:1,1,2', { 1: 3 / 5, 2: 2 / 5 }],
    ['histogram:1=70,20=30', { 1: 0.7, 20: 0.3 }],
  ] as const)('follows %s', ([text, shares]) => {
    const distribution = parsePerConnection(text);
    const series = perConnectionSeries(distribution ?? { kind: 'unlimited' }, seededRandom(1, 3));
    for (const [n, share] of Object.entries(shares))
      expect(series.filter((one) => one === Number(n)).length / series.length).toBeCloseTo(share, 4);
    expect(new Set(series).size).toBe(Object.keys(shares).length);
  });

  test.for([
    '0',
    '-1',
    'zipf:',
    'zipf:1',
    'zipf:0,5',
    'zipf:-2,1,5',
    'uniform:0-4',
    'uniform:5-4',
    'histogram:',
    'histogram:0=1',
    'histogram:1=0',
    'histogram:1',
    'x',
  ])('%s is no distribution', (text) => {
    expect(parsePerConnection(text)).toBeUndefined();
  });
});

describe('files', () => {
  test('hold what the pattern says, whatever their size', () => {
    const pattern = contentPattern();
    for (const [n, size] of [
      [0, 1],
      [7, 65_521],
      [8, 65_522],
      [9, 3_000_000],
    ] as const) {
      const all = Buffer.concat([...contentOf(n, size)].map((piece) => Buffer.from(piece)));
      expect(all.length).toBe(size);
      for (let at = 0; at < size; at += 977) expect(all[at]).toBe(pattern[(contentStart(n) + at) % 65_521]);
    }
  });

  test('are written for everybody to read, once, and again when one is not as it was', async () => {
    const directory = join(scratch, 'once');
    const specweb = workload('specweb');
    const mask = process.umask(0o077);
    const first = await createFileSet(specweb, directory);
    process.umask(mask);
    expect(first).toEqual({
      folder: join(directory, 'specweb'),
      files: 256,
      bytes: fileSetBytes(specweb),
      written: true,
    });
    expect(readdirSync(first.folder)).toHaveLength(257);
    expect(statSync(directory).mode & 0o777).toBe(0o755);
    expect(statSync(first.folder).mode & 0o777).toBe(0o755);
    expect(statSync(join(first.folder, '0003')).mode & 0o777).toBe(0o644);
    expect((await createFileSet(specweb, directory)).written).toBe(false);
    truncateSync(join(first.folder, '0003'));
    expect((await createFileSet(specweb, directory)).written).toBe(true);
    expect(statSync(join(first.folder, '0003')).size).toBe(specweb.sizes[3]);
  });

  test('are always the same', async () => {
    const { folder } = await createFileSet(workload('specweb'), join(scratch, 'same'));
    const hash = createHash('sha256');
    for (const name of readdirSync(folder).sort()) hash.update(readFileSync(join(folder, name)));
    expect(hash.digest('hex')).toBe('c47d6e9f7fd862beb745f636eda4e9ce307ba34956c8f34c8c3aa2813320b90b');
  });

  test('that were not finished are begun again', async () => {
    const directory = join(scratch, 'aborted');
    const stop = new AbortController();
    stop.abort();
    await expect(createFileSet(workload('specweb'), directory, { signal: stop.signal })).rejects.toThrow();
    expect((await createFileSet(workload('specweb'), directory)).written).toBe(true);
  });

  test('are written by megapipe files, which says where', async () => {
    const directory = join(scratch, 'command');
    const once = await megapipe(['files', 'specweb', directory]);
    expect(once.stdout).toBe(`256 files, 0.2 MiB written to ${directory}/specweb`);
    const again = await megapipe(['files', 'specweb', directory]);
    expect(again.stdout).toBe(`256 files, 0.2 MiB are in ${directory}/specweb`);
    writeFileSync(join(scratch, 'file'), '');
    const nowhere = await megapipe(['files', 'specweb', join(scratch, 'file/below')]);
    expect(nowhere.exitCode).toBe(1);
    expect(nowhere.stderr).toMatch(/^megapipe: the files can't be written into .*: ENOTDIR$/);
    const unknown = await megapipe(['files', 'google', directory]);
    expect(unknown.exitCode).toBe(2);
    expect(unknown.stderr).toContain('google');
  });
});

describe('a workload on stock nginx', () => {
  testOnEngines('specweb: every answer is right', async (engine) => {
    await createFileSet(workload('specweb'), join(scratch, 'web'));
    const server = await startNginx({ root: join(scratch, 'web') });
    running.push(server);
    const args = ['--workload', 'specweb', '--engine', engine, '--requests', '6000', '--concurrency', '16'];
    const both = await server.counted(() => loadHttp([server.url, ...args]));
    expect(both.requests).toBe(6000);
    expect(both.accepts).toBe(both.result.connections);
    expect(both.result.connections).toBeGreaterThanOrEqual(1000);
    expect(both.result.connections).toBeLessThanOrEqual(1016);
    expect(both.result.requests).toEqual({ total: 6000, verified: 6000, failed: 0 });
    // Any stretch is much like the whole.
    expect(both.result.bodyBytes / 6000).toBeGreaterThan(690);
    expect(both.result.bodyBytes / 6000).toBeLessThan(718);
  });

  test('yahoo: every answer is right, that of 253 MiB too', async () => {
    const yahoo = workload('yahoo');
    const directory = join(scratch, 'web');
    await createFileSet(yahoo, directory);
    const server = await startNginx({ root: directory });
    running.push(server);
    const args = ['--workload', 'yahoo', '--requests', '4000', '--concurrency', '16'];
    const both = await server.counted(() => loadHttp([server.url, ...args]));
    expect(both.requests).toBe(4000);
    expect(both.result.requests).toEqual({ total: 4000, verified: 4000, failed: 0 });
    const largest = yahoo.sizes.indexOf(253 * MiB);
    const all = ['--expect-status', '200', '--expect-length', String(253 * MiB), '--requests', '2'];
    const path = `/yahoo/${String(largest).padStart(4, '0')}`;
    const one = await loadHttp([`${server.url}${path}`, ...all, '--concurrency', '2', '--threads', '1']);
    expect(one.requests.verified).toBe(2);
    expect(one.bodyBytes).toBe(2 * 253 * MiB);
  });

  test('another file of the right length is a verification error', async () => {
    const directory = join(scratch, 'wrong');
    const { folder } = await createFileSet(workload('specweb'), directory);
    const content = readFileSync(join(folder, '0200'));
    content[content.length - 1] = (content.at(-1) ?? 0) ^ 1;
    writeFileSync(join(folder, '0200'), content);
    const server = await startNginx({ root: directory });
    running.push(server);
    const result = await loadHttp([
      server.url,
      '--workload',
      'specweb',
      '--requests',
      '2560',
      '--threads',
      '1',
    ]);
    expect(result.errors.verification).toBeGreaterThanOrEqual(8);
    expect(result.errors.verification).toBeLessThanOrEqual(12);
    expect(result.requests.verified).toBe(2560 - result.errors.verification);
    expect(result.serverComplaint).toBe(
      `GET /specweb/0200: wrong content in a body of length ${content.length}`,
    );
  });
});
