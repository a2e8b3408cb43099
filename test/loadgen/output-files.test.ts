import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { echoResultSchema } from '../../loadgen/echo-result.js';
import { openOutputFiles } from '../../loadgen/output-files.js';
import { startEcho } from './fake-echo.js';
import { loadEcho, runEchoLoad } from './loadgen.js';
import { agentsForTest, conduct, natsForTest } from './team.js';

const scratch = mkdtempSync(join(tmpdir(), 'megapipe-output-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const file = (name: string) => join(scratch, name);

async function echoServer(): Promise<string> {
  const echo = await startEcho((socket, chunk) => void socket.write(chunk));
  onTestFinished(() => echo.stop());
  return echo.address;
}

const small = ['--concurrency', '2', '--threads', '1'];

/** The cells of each line of a file. */
const rowsOf = (name: string, separator: string | RegExp) =>
  readFileSync(file(name), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(separator));

describe('files of a load', () => {
  test('--hgrm has the latencies’ percentiles up to their maximum, in microseconds', async () => {
    const args = ['--server', await echoServer(), ...small, '--requests', '300', '--rate', '1000'];
    const { histogram, latencyUs } = await loadEcho([...args, '--hgrm', file('a.hgrm')]);
    const lines = rowsOf('a.hgrm', /\s+/);
    expect(lines[0]).toEqual(['Value', 'Percentile', 'TotalCount', '1/(1-Percentile)']);
    const rows = lines.filter(([first]) => /^\d/.test(first ?? '')).map((cells) => cells.map(Number));
    const last = rows.at(-1) ?? [];
    expect([last[1], last[2]]).toEqual([1, decodeFromCompressedBase64(histogram.corrected).totalCount]);
    expect(last[0]).toBeCloseTo(latencyUs.corrected?.max ?? 0, 2);
    const values = rows.map(([value]) => value);
    expect(values).toEqual([...values].sort((a = 0, b = 0) => a - b));
  });

  test('--csv has the series, a line an interval', async () => {
    const args = ['--server', await echoServer(), ...small, '--duration', '2.2', '--warmup', '0'];
    const { series, requests } = await loadEcho([...args, '--csv', file('a.csv')]);
    const [header, ...rows] = rowsOf('a.csv', ',');
    const of = (row: string[], name: string) => Number(row[header?.indexOf(name) ?? -1]);
    expect(rows).toHaveLength(series.length);
    expect(rows.reduce((sum, row) => sum + of(row, 'requests'), 0)).toBe(requests.total);
    expect(rows.map((row) => of(row, 'p99_us'))).toEqual(series.map(({ latencyUs }) => latencyUs?.p99 ?? 0));
  });

  test('are of all agents together, and the conductor’s', async () => {
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b']);
    const files = ['--hgrm', file('b.hgrm'), '--csv', file('b.csv')];
    const args = ['--server', await echoServer(), '--concurrency', '2', '--requests', '200', ...files];
    const { stdout, stderr, exitCode } = await conduct('echo', [
      ...args,
      '--json',
      '--agents',
      '2',
      '--nats',
      nats.url,
    ]);
    expect(exitCode, stderr).toBe(0);
    expect(echoResultSchema.parse(JSON.parse(stdout)).requests.total).toBe(200);
    expect(readFileSync(file('b.hgrm'), 'utf8')).toMatch(/Total count {4}= +200\]/);
    expect(
      rowsOf('b.csv', ',')
        .slice(1)
        .reduce((sum, row) => sum + Number(row[2]), 0),
    ).toBe(200);
  });

  test('that can’t be written end the load before it begins', async () => {
    const { exitCode, stderr } = await runEchoLoad(['--server', '127.0.0.1:1', '--csv', file('none/x')]);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^megapipe: --csv: ENOENT/);
  });

  test('are none where none is asked for', () => {
    openOutputFiles({ json: true }).write({} as never);
    expect(existsSync(file('none'))).toBe(false);
  });
});
