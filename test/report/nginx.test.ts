import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseHTML } from 'linkedom';
import { afterEach, describe, expect, test } from 'vitest';
import { baseline, parseVariant, reuseport } from '../../src/bench/application/variant.js';
import { summarize } from '../../src/report/summary.js';
import { readResults } from '../../src/results/file.js';
import { megapipe } from '../megapipe.js';
import { nginxShape, on, plainShape, recordsOf, type Shape, writeRecords } from './fixture.js';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function written(...shapes: Shape[]): string {
  const file = writeRecords(shapes.flatMap(recordsOf));
  folders.push(dirname(file));
  return file;
}

async function report(...shapes: Shape[]) {
  const file = written(...shapes);
  const { stdout, stderr, exitCode } = await megapipe(['report', file]);
  expect(exitCode, stderr).toBe(0);
  const text = readFileSync(join(dirname(file), 'results.html'), 'utf8');
  return { terminal: stdout, text, document: parseHTML(text).document };
}

const captions = (page: Awaited<ReturnType<typeof report>>) =>
  [...page.document.querySelectorAll('article figcaption')].map((caption) => caption.textContent);

const figureOf = (page: Awaited<ReturnType<typeof report>>, caption: string) =>
  [...page.document.querySelectorAll('figure')].find(
    (figure) => figure.querySelector('figcaption')?.textContent === caption,
  );

const oneCoreCount: Shape = {
  ...nginxShape,
  points: nginxShape.points.filter(({ cores }) => cores === 2),
};

describe('a run over cores', () => {
  const sectionOf = (shape: Shape) => summarize(readResults(written(shape))[0] as never)[0];

  test('has its points by workload and upwards, and stock I/O before MegaPipe', () => {
    const section = sectionOf({ ...nginxShape, points: nginxShape.points.toReversed() });
    expect(section?.axis).toBe('cores');
    expect(section?.points.map(({ workload, cores }) => `${workload} ${cores}`)).toEqual([
      'yahoo/2 1',
      'yahoo/2 2',
      'yahoo 1',
      'yahoo 2',
      'specweb 1',
      'specweb 2',
    ]);
    expect(section?.variants.slice(0, 2).map(({ id }) => id)).toEqual(['baseline', 'reuseport']);
  });

  test('has each variant’s speed-up over its own single core, within a round', () => {
    const section = sectionOf(nginxShape);
    expect(section?.cell('baseline', on('yahoo', 2))?.speedup?.median).toBeCloseTo(1.5, 3);
    expect(section?.cell('uring+PBL', on('yahoo', 2))?.speedup).toMatchObject({ samples: 5 });
    expect(section?.cell('uring+PBL', on('yahoo', 2))?.speedup?.median).toBeCloseTo(1.8, 3);
    expect(section?.cell('uring+PBL', on('yahoo', 1))?.speedup?.median).toBe(1);
  });

  test('has no speed-up where cores were not varied', () => {
    expect(sectionOf(oneCoreCount)?.cell('baseline', on('yahoo', 2))?.speedup).toBeUndefined();
  });

  test('compares MegaPipe with both kinds of stock I/O', () => {
    const section = sectionOf(nginxShape);
    const cell = section?.cell('uring+PBL', on('specweb', 1));
    expect(cell?.ratios.throughput?.ratio).toBeCloseTo(1.3, 3);
    expect(cell?.ratiosToReuseport.throughput?.ratio).toBeCloseTo(1.3 / 1.1, 3);
    const rival = section?.cell('reuseport', on('specweb', 1));
    expect(rival?.ratios.throughput?.ratio).toBeCloseTo(1.1, 3);
    expect(rival?.ratiosToReuseport.throughput).toBeUndefined();
  });

  test('counts as the server’s CPUs those that the point gives it', () => {
    const shape: Shape = { ...nginxShape, variants: [baseline], points: [on('specweb', 1)] };
    const file = writeRecords(
      recordsOf(shape).map((record) => {
        if (record.type !== 'sample' || record.status !== 'ok') return record;
        const idle = { userUs: 0, systemUs: 0, irqUs: 0, softirqUs: 0, stealUs: 0, idleUs: 1e6 };
        const busy = { ...idle, idleUs: 0, systemUs: 1e6 };
        const cpus = [
          { cpu: 0, ...busy },
          { cpu: 1, ...idle },
        ];
        return { ...record, measured: { ...record.measured, cpus } };
      }),
    );
    folders.push(dirname(file));
    const [section] = summarize(readResults(file)[0] as never);
    expect(section?.cell('baseline', on('specweb', 1))).toMatchObject({ limit: 'server' });
    expect(section?.cell('baseline', on('specweb', 1))?.serverIdle?.median).toBe(0);
  });
});

describe('the page of nginx', () => {
  test('draws the paper’s Fig. 7 over cores: throughput and speed-up, a panel for each workload', async () => {
    const page = await report(nginxShape);
    expect(captions(page).slice(0, 4)).toEqual([
      'Server CPU time a request',
      'Requests per CPU-second of both sides, relative to the baseline of the same round',
      'Throughput',
      'Parallel speed-up: throughput, relative to one core',
    ]);
    expect(page.document.querySelector('main')?.textContent).toContain('workloads (the paper’s Fig. 7)');
    const throughput = figureOf(page, 'Throughput');
    const words = throughput?.querySelector('.wide')?.textContent ?? '';
    for (const workload of ['specweb', 'yahoo', 'yahoo/2']) expect(words).toContain(workload);
    expect(words).toContain('uring+PBL at specweb, 2 cores: 47.7k/s');
  });

  test('stands the variants side by side where cores were not varied', async () => {
    const page = await report(oneCoreCount);
    expect(captions(page)).not.toContainEqual(expect.stringContaining('speed-up'));
    const throughput = figureOf(page, 'Throughput');
    expect(throughput?.querySelectorAll('.wide rect')).toHaveLength(3 * nginxShape.variants.length);
    expect(page.terminal).toContain('Speed-up over cores was not measured');
  });

  test('sets beside ours what the paper says of nginx, and nothing that it does not', async () => {
    const { document } = await report(nginxShape);
    const words = document.querySelector('main')?.textContent ?? '';
    expect(words).toContain('yahoo/2: 47 % more on one core, 75 % more on eight (section 5.3, on Fig. 7)');
    expect(words).toContain('6.5 on eight cores, where stock nginx has 5.4');
    expect(words).not.toContain('memaslap');
  });

  test('has no column that has nothing to show', async () => {
    const heads = async (shape: Shape) =>
      [...(await report(shape)).document.querySelectorAll('table')]
        .find((table) => table.textContent.includes('System calls a request'))
        ?.querySelector('thead')?.textContent;
    expect(await heads(nginxShape)).toMatch(/Speed-up over one core.*of reuseport/);
    const bare = await heads({ ...oneCoreCount, variants: [baseline, parseVariant('uring+PBL')] });
    expect(bare).not.toMatch(/Speed-up|reuseport|Crossings/);
  });
});

describe('the sentences on nginx', () => {
  test('compare each engine with each kind of stock I/O, by workload and cores', async () => {
    const { terminal } = await report(oneCoreCount);
    expect(terminal).toContain('uring+PBL against baseline');
    expect(terminal).toMatch(
      /uring\+PBL against reuseport\n(?:- .*\n){2}- Throughput: more, ×1\.33 \(1\.31 to 1\.35\) for specweb, ×1\.33 .* for yahoo and ×1\.33 .* for yahoo\/2 on 2 cores/,
    );
  });

  test('say over how many points a range is', async () => {
    const { terminal } = await report(nginxShape);
    expect(terminal).toMatch(
      /more at 6 of 6 points, from ×\d\.\d\d .* for \S+ on \d cores? to ×\d\.\d\d .* for/,
    );
  });

  test('say what so few cores cannot show', async () => {
    const { terminal } = await report(nginxShape);
    expect(terminal).toContain('The server had 2 cores at most, the paper’s eight');
    expect(terminal).toContain('leaves the others to the clients');
    expect((await report(plainShape)).terminal).not.toContain('leaves the others to the clients');
  });
});

describe('a file of both applications', () => {
  const both = [plainShape, { ...oneCoreCount, variants: [baseline, reuseport] }];

  test('makes one page, an article each, and a table each on the terminal', async () => {
    const { terminal, document, text } = await report(...both);
    const articles = [...document.querySelectorAll('article')];
    expect(articles.map((article) => article.id)).toEqual(['memcached', 'nginx']);
    expect(document.querySelector('h1')?.textContent).toBe('memcached and nginx: MegaPipe against stock I/O');
    expect(text).not.toMatch(/https?:|src=|href="[^#]|@import|url\(|<script|<link/);
    expect(terminal.match(/One host \(loopback\): .*\n┌/g)).toHaveLength(2);
    expect(terminal.indexOf('memcached\n')).toBeLessThan(terminal.indexOf('nginx\n'));
  });

  test('makes one CSV, in which each sample says whose it is', async () => {
    const { stdout } = await megapipe(['report', written(...both), '--csv']);
    expect(stdout).toContain(',memcached,loopback,baseline,memaslap,1,,2,256,');
    expect(stdout).toContain(',nginx,loopback,reuseport,yahoo/2,,,2,256,');
  });
});
