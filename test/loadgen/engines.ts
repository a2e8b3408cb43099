import { join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { execa } from 'execa';
import { buildDir } from '../../src/base/paths.js';
import { testUnless } from '../skip.js';

/** megapipe-probe prints a line an engine: its name, a tab, 0 or -errno. */
async function missingEngines(): Promise<Map<string, string>> {
  const { stdout } = await execa(join(buildDir, 'libmegapipe/megapipe-probe'));
  const lines = stdout.split('\n').map((line) => line.split('\t'));
  return new Map(
    lines.flatMap(([name = '', error = '']) =>
      error === '0' ? [] : [[name, `engine ${name}: ${getSystemErrorName(Number(error))}`] as const],
    ),
  );
}

const missing = await missingEngines();

/** Define a test for each engine; where a machine hasn't got one, it is a skip that says so. */
export function testOnEngines(name: string, run: (engine: string) => Promise<void>) {
  for (const engine of ['epoll', 'uring']) {
    testUnless(missing.get(engine))(`${engine}: ${name}`, () => run(engine));
  }
}
