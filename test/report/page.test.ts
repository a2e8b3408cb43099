import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseHTML } from 'linkedom';
import { afterEach, describe, expect, test } from 'vitest';
import { accumulated, baseline, parseVariant } from '../../src/bench/application/variant.js';
import type { ResultRecord } from '../../src/results/schema.js';
import { megapipe } from '../megapipe.js';
import { failedSample, plainShape, recordsOf, writeRecords } from './fixture.js';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** Report on these records through the command line. */
async function report(records: ResultRecord[]) {
  const file = writeRecords(records);
  folders.push(dirname(file));
  const { stdout, stderr, exitCode } = await megapipe(['report', file]);
  expect(exitCode, stderr).toBe(0);
  const text = readFileSync(join(dirname(file), 'results.html'), 'utf8');
  return { terminal: stdout, text, document: parseHTML(text).document, file };
}

type Page = Awaited<ReturnType<typeof report>>['document'];

/** The rows of the table of all numbers, cell by cell, without the intervals. */
function numbers(document: Page): Record<string, string>[] {
  const table = [...document.querySelectorAll('table')].find((one) =>
    one.textContent.includes('Operations a crossing'),
  );
  const names = [...(table?.querySelectorAll('th') ?? [])].map((th) => th.textContent);
  return [...(table?.querySelectorAll('tbody tr') ?? [])].map((tr) =>
    Object.fromEntries(
      [...tr.querySelectorAll('td')].map((td, index) => {
        for (const interval of td.querySelectorAll('.interval')) interval.remove();
        return [`${index} ${names[index]}`, td.textContent];
      }),
    ),
  );
}

describe('the page', () => {
  test('needs nothing that is not in it', async () => {
    const { text } = await report(recordsOf(plainShape));
    expect(text).not.toMatch(/https?:|src=|href=|@import|url\(|<script|<link/);
  });

  test('shows every number as the samples have it', async () => {
    const { document } = await report(recordsOf(plainShape));
    const rows = numbers(document);
    expect(rows).toHaveLength(8);
    expect(rows[0]).toMatchObject({
      '1 Variant': 'baseline',
      '6 Throughput': '10.2k/s',
      '3 of baseline': '',
    });
    // 10,000 requests and 3 tenths more, 2 % more in the median round; 0.5 s of CPU time for 13,260 requests.
    expect(rows[3]).toMatchObject({
      '1 Variant': 'uring+PBL',
      '2 Server CPU a request': '37.7 µs',
      '3 of baseline': '×0.48',
      // Of 1.6 s of both CPUs.
      '4 Requests per CPU-second of both sides': '8.29k',
      '5 of baseline': '×1.30',
      '6 Throughput': '13.3k/s',
      '7 of baseline': '×1.30',
      '8 System calls a request': '0.250',
      '9 Crossings a request': '0.125',
      '10 Operations a crossing': '16.0',
      '11 p50': '250 µs',
      '12 p99': '900 µs',
      '13 Server’s CPUs idle': '20 %',
      '15 Samples': '5',
    });
    expect(rows[7]).toMatchObject({
      '1 Variant': 'uring+PBL',
      '2 Server CPU a request': '3.77 µs',
      '6 Throughput': '133k/s',
    });
  });

  test('has a figure for each quantity, drawn wide and narrow, with a text over each point', async () => {
    const { document } = await report(recordsOf(plainShape));
    const figures = [...document.querySelectorAll('article figure')];
    expect(figures.map((figure) => figure.querySelector('figcaption')?.textContent)).toEqual([
      'Server CPU time a request',
      'Requests per CPU-second of both sides, relative to the baseline of the same round',
      'Throughput',
      'Throughput, relative to the baseline of the same round',
      'System calls of the server a request',
      'Median latency',
      '99th percentile of latency',
    ]);
    for (const figure of figures) expect(figure.querySelectorAll('svg')).toHaveLength(2);
    const titles = [...(figures[3]?.querySelectorAll('.wide title') ?? [])].map((title) => title.textContent);
    expect(titles).toContain('uring+PBL at ∞: ×1.30, ×1.28 to ×1.32 (5 samples)');
    const published = titles.filter((title) => title.startsWith('the paper, '));
    expect(titles).toHaveLength(6 + published.length);
    expect(published).toContain('the paper, -FL, eight cores (section 5.2): ×1.15');
  });

  test('draws the work of the server’s CPUs where these are its own', async () => {
    const { document } = await report(recordsOf({ ...plainShape, topologies: ['netns'] }));
    const captions = [...document.querySelectorAll('figcaption')].map((caption) => caption.textContent);
    expect(captions).toContain('All work of the server’s CPUs a request, soft interrupts included');
    // 0.8 s busy, 0.1 s of it in soft interrupts, for 10,200 requests.
    expect(numbers(document)[0]).toMatchObject({
      '4 Server CPUs’ work a request': '78.4 µs',
      '5 of it soft interrupts': '13 %',
    });
  });

  test('takes what was measured for text, not for markup', async () => {
    const { text, document } = await report(recordsOf(plainShape));
    expect(document.querySelector('.trust')?.textContent).toContain('Abacus <2000>');
    expect(text).toContain('Abacus &lt;2000&gt;');
  });

  test('shows failed samples and what was left out, each with its reason', async () => {
    const { document, terminal } = await report([
      ...recordsOf(plainShape).slice(0, 1),
      { type: 'skip', what: 'topology netns', reason: 'no <rights> here' },
      ...recordsOf(plainShape).slice(1),
      failedSample('the server was killed by SIGSEGV'),
    ]);
    const section = [...document.querySelectorAll('section')].find((one) =>
      one.textContent.includes('Failed and not'),
    );
    expect(section?.textContent).toContain('the server was killed by SIGSEGV');
    expect(section?.textContent).toContain('topology netns: no <rights> here');
    expect(terminal).toContain('6, 1 failed');
    expect(terminal).toContain('1 of 49 samples failed');
    expect(terminal).toContain('Not measured: topology netns: no <rights> here');
  });

  test('sets the paper’s Table 3 beside ours and says what it is of', async () => {
    const { document } = await report(recordsOf(plainShape));
    const captions = [...document.querySelectorAll('caption')].map((caption) => caption.textContent);
    expect(captions.at(-1)).toContain('echo microbenchmark on eight cores, no application');
    const own = document.querySelectorAll('caption')[0]?.parentElement;
    expect(own?.querySelectorAll('tbody tr')[3]?.textContent).toContain('+30.0 %');
  });
});

describe('the sentences', () => {
  const shape = { ...plainShape, variants: [baseline, ...accumulated('uring'), parseVariant('epoll+PBL')] };
  const faster = (factor: number) =>
    recordsOf({
      ...shape,
      requests: ({ engine }, _point, round) => 10_000 * (engine === 'uring' ? factor : 1) * (1 + round / 100),
      serverCpuUs: () => 500_000,
    });

  test('say what was better, by how much, and what the interval is', async () => {
    const { terminal } = await report(faster(2));
    expect(terminal).toContain(
      'Throughput: more, ×2.00 (1.97 to 2.03) at 1 and ×2.00 (1.97 to 2.03) at unlimited requests a connection.',
    );
    expect(terminal).toContain('Server CPU a request: less, ×0.50 (0.49 to 0.51) at 1');
  });

  test('say what was worse', async () => {
    const { terminal } = await report(faster(0.5));
    expect(terminal).toContain('Throughput: less, ×0.50 (0.49 to 0.51) at 1');
    expect(terminal).toContain('Server CPU a request: more, ×2.00 (1.97 to 2.03) at 1');
  });

  const scattered = (spread: number, rounds = 5) =>
    recordsOf({
      ...shape,
      rounds,
      requests: ({ engine }, _point, round) => 10_000 * (engine ? 1.1 + (round - 2) * spread : 1),
      serverCpuUs: () => 500_000,
    });

  test('say of what is not decided what it could be', async () => {
    const { terminal } = await report(scattered(0.2));
    expect(terminal).toContain('Throughput: not decided: ×1.06 (could be 0.44 to 2.59) at 1 and');
    expect(terminal).not.toContain('no difference');
  });

  test('say that it is the same only where it cannot be much else', async () => {
    const { terminal } = await report(
      recordsOf({ ...shape, requests: () => 10_000, serverCpuUs: () => 500_000 }),
    );
    expect(terminal).toContain('Throughput: the same within 3 %, ×1.00 (0.98 to 1.02) at 1');
  });

  test('conclude nothing from too few rounds', async () => {
    const { terminal } = await report(scattered(0, 3));
    expect(terminal).toContain('Throughput: not decided: ×1.10 (could be anything) at 1');
  });

  test('say what the topology flatters or cannot show', async () => {
    const { terminal } = await report(recordsOf({ ...shape, topologies: ['loopback', 'netns'] }));
    expect(terminal).toContain('Loopback flatters partitioning');
    expect(terminal).toMatch(/flatters.*Separate hosts.*uring\+PBL measured ×1\.30 at 1/);
    expect(terminal).toContain('the server has one CPU, where partitioning has nothing to divide');
  });

  test('say that times of an emulated machine are no hardware’s', async () => {
    const said = async (virtualization: string) => {
      const records = recordsOf(plainShape).map((record) =>
        record.type === 'machine' ? { ...record, virtualization } : record,
      );
      return (await report(records)).terminal;
    };
    expect(await said('qemu, docker')).toContain('its times are no hardware’s');
    expect(await said('kvm, docker')).not.toContain('emulated');
  });

  test('say that a run did not come to its end', async () => {
    const records = recordsOf(plainShape).slice(0, -1);
    expect((await report(records)).terminal).toContain('The run died before its end');
    const end: ResultRecord = { type: 'end', endedAt: '2026-01-02T03:04:06.000Z', outcome: 'interrupted' };
    expect((await report([...records, end])).terminal).toContain('The run was interrupted');
  });
});

describe('the command', () => {
  test('prints every sample as CSV', async () => {
    const file = writeRecords([...recordsOf(plainShape), failedSample('said "no", twice')]);
    folders.push(dirname(file));
    const { stdout, exitCode } = await megapipe(['report', file, '--csv']);
    expect(exitCode).toBe(0);
    const lines = stdout.split('\n');
    expect(lines).toHaveLength(1 + 49);
    expect(lines[0]).toMatch(
      /^started_at,application,topology,variant,workload,requests_per_connection,message_bytes,cores,connections,rate,round,kind,status,requests_per_s,/,
    );
    expect(lines[1]).toMatch(/^[^,]+,memcached,loopback,baseline,memaslap,1,,2,256,,0,timed,ok,10000,80,/);
    expect(lines.at(-1)).toMatch(/,failed,.*"said ""no"", twice"$/);
  });

  test('writes the page where it is told', async () => {
    const file = writeRecords(recordsOf(plainShape));
    folders.push(dirname(file));
    const page = join(dirname(file), 'elsewhere.html');
    const { stdout } = await megapipe(['report', file, '--html', page]);
    expect(readFileSync(page, 'utf8')).toContain('<!doctype html>');
    expect(stdout).toContain('elsewhere.html');
  });

  test('says where it cannot write', async () => {
    const file = writeRecords(recordsOf(plainShape));
    folders.push(dirname(file));
    const page = join(dirname(file), 'no', 'such', 'folder.html');
    const { stderr, exitCode } = await megapipe(['report', file, '--html', page]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`megapipe: cannot write ${page}: `);
  });

  test.each([
    ['a file that is not there', '/nowhere/at-all.ndjson', 'cannot read /nowhere/at-all.ndjson'],
    ['a file of something else', join(import.meta.dirname, 'fixture.ts'), 'line 1, is not a result record'],
  ])('refuses %s by name', async (_what, file, message) => {
    const { stderr, exitCode } = await megapipe(['report', file]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^megapipe: /);
    expect(stderr).toContain(message);
  });
});
