import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { runStep } from '../base/stamp.js';
import { runTool } from '../base/tool.js';
import { type PortLines, portLines } from '../results/schema.js';
import { debianPatchesOf } from './debian.js';
import { fixesOf, ownFilesOf, type Port, patchesOf } from './port.js';
import type { Source } from './source.js';
import { applyPatches, treeDirectory, unpack } from './tree.js';

/** Count an application's lines and those that the port changes; true if that was not done before. */
export function countLines(port: Port, source: Source): Promise<boolean> {
  const file = linesFile(port);
  const inputs = [`${treeDirectory(port)}.stamp`, ...patchesOf(port), ...ownFiles(port)];
  return runStep({ stamp: `${file}.stamp`, inputs, outputs: [file] }, async () => {
    const original = join(port.buildDirectory, 'original');
    rmSync(original, { recursive: true, force: true });
    await unpack(source, original);
    try {
      const { SUM: all } = count.parse(await cloc(port, original));
      const { SUM: own } = count.parse(await cloc(port, ...ownFiles(port)));
      const changed = patchesOf(port).length > 0 ? await changedLines(port, source, original) : 0;
      writeFileSync(
        file,
        JSON.stringify({ application: all.code, changed, own: own.code } satisfies PortLines),
      );
    } finally {
      rmSync(original, { recursive: true, force: true });
    }
  });
}

async function changedLines(port: Port, source: Source, original: string): Promise<number> {
  await applyPatches(port, [...debianPatchesOf(source), ...fixesOf(port)], original);
  const { SUM: all } = changes.parse(await cloc(port, '--diff', original, treeDirectory(port)));
  return all.added.code + all.modified.code + all.removed.code;
}

/** What was counted; null where nothing was, as for a tree that was built before this could be. */
export function readLines(port: Port): PortLines | null {
  const file = linesFile(port);
  return existsSync(file) ? portLines.parse(JSON.parse(readFileSync(file, 'utf8'))) : null;
}

const linesFile = (port: Port) => join(port.buildDirectory, 'lines.json');

const code = z.object({ code: z.number() });
const count = z.object({ SUM: code });
const changes = z.object({ SUM: z.object({ added: code, modified: code, removed: code }) });

async function cloc(port: Port, ...args: string[]): Promise<unknown> {
  const command = ['cloc', '--quiet', '--json', '--include-lang=C,C/C++ Header', ...args];
  const output = await runTool(`count the lines of ${port.name}`, command);
  // Perl's warnings about cloc's own words come first.
  return JSON.parse(output.slice(output.indexOf('{')));
}

/** Those beside the application's, or a module in folders of its own. */
function ownFiles(port: Port): string[] {
  const beside = ownFilesOf(port).map(({ file }) => file);
  if (beside.length > 0) return beside;
  const { directory } = port;
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return files
    .filter((name) => /\.[ch]$/.test(name))
    .sort()
    .map((name) => join(directory, name));
}
