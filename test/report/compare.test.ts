import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseHTML } from 'linkedom';
import { afterEach, describe, expect, test } from 'vitest';
import { compareRuns } from '../../src/report/compare.js';
import { readResults } from '../../src/results/file.js';
import { megapipe } from '../megapipe.js';
import { at, nginxShape, plainShape, recordsOf, type Shape, writeRecords } from './fixture.js';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function written(shape: Shape): string {
  const file = writeRecords(recordsOf(shape));
  folders.push(dirname(file));
  return file;
}

const faster: Shape = {
  ...plainShape,
  requests: (variant, point, round) => 2 * plainShape.requests(variant, point, round),
};

describe('two runs', () => {
  const compare = (first: Shape, second: Shape) =>
    compareRuns(readResults(written(first)), readResults(written(second)));

  test('are compared where both have a variant at a point', () => {
    const [one] = compare(plainShape, { ...faster, points: [at(1)] });
    expect(one?.sections).toHaveLength(1);
    expect(one?.sections[0]?.pairs).toHaveLength(4);
    const ratio = one?.sections[0]?.pairs[0]?.ratios.throughput;
    expect(ratio?.median).toBeCloseTo(2, 5);
    // Rounds differ by one in a hundred within each run, and none of that cancels out.
    expect(ratio?.low).toBeCloseTo(2 / 1.04, 2);
    expect(ratio?.high).toBeCloseTo(2 * 1.04, 2);
  });

  test('of different applications have nothing in common', () => {
    expect(compare(plainShape, nginxShape)).toEqual([]);
  });
});

describe('the command', () => {
  test('prints both and writes them as a page, figure beside figure', async () => {
    const [first, second] = [written(plainShape), written(faster)];
    const page = join(dirname(first), 'both.html');
    const { stdout, stderr, exitCode } = await megapipe([
      'report',
      '--compare',
      first,
      second,
      '--html',
      page,
    ]);
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toMatch(/baseline.*10\.2k\/s.*20\.4k\/s.*×2\.00 1\.92–2\.08 \*/);
    const { document } = parseHTML(readFileSync(page, 'utf8'));
    const captions = [...document.querySelectorAll('figcaption')].map((caption) => caption.textContent);
    expect(captions.filter((caption) => caption.endsWith(': Throughput'))).toHaveLength(2);
    expect(document.querySelector('td.better')?.textContent).toContain('×2.00');
  });

  test('says what was not the same for both', async () => {
    const [first, second] = [written(plainShape), written(faster)];
    const text = readFileSync(second, 'utf8').replace('6.1.0-test', '6.12.0-test');
    writeFileSync(second, text);
    const { stdout } = await megapipe(['report', '--compare', first, second]);
    expect(stdout).toContain('memcached: not the same: kernel');
  });

  test('refuses what it cannot set side by side', async () => {
    const [first, second] = [written(plainShape), written(nginxShape)];
    const foreign = await megapipe(['report', '--compare', first, second]);
    expect(foreign).toMatchObject({ exitCode: 1 });
    expect(foreign.stderr).toContain('have no variant at the same point');
    const lone = await megapipe(['report', '--compare', first]);
    expect(lone).toMatchObject({ exitCode: 2 });
    expect(lone.stderr).toContain('--compare takes two files');
    const two = await megapipe(['report', first, second]);
    expect(two.stderr).toContain('2 files are given; give one, or two with --compare');
  });
});
