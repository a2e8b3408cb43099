import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { root } from '../../src/base/paths.js';

type Imports = Map<string, Set<string>>;

/** Which folders each folder below these imports from. */
function importsOfFolders(tops: string[]): Imports {
  const imports: Imports = new Map();
  for (const file of tops.flatMap((top) => typeScriptIn(top))) {
    const folder = dirname(file);
    const own = imports.get(folder) ?? new Set();
    for (const { fileName } of ts.preProcessFile(readFileSync(join(root, file), 'utf8')).importedFiles) {
      const imported = normalize(join(folder, dirname(fileName)));
      if (fileName.startsWith('.') && imported !== folder) own.add(imported);
    }
    imports.set(folder, own);
  }
  return imports;
}

function typeScriptIn(top: string): string[] {
  const names = readdirSync(join(root, top), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.ts')).map((name) => join(top, name));
}

/** The folders of a circle, from the first one back to it; empty where there is none. */
function circleIn(imports: Imports): string[] {
  const checked = new Set<string>();
  const circleFrom = (folder: string, path: string[]): string[] => {
    if (path.includes(folder)) return [...path.slice(path.indexOf(folder)), folder];
    if (checked.has(folder)) return [];
    for (const next of imports.get(folder) ?? []) {
      const circle = circleFrom(next, [...path, folder]);
      if (circle.length > 0) return circle;
    }
    checked.add(folder);
    return [];
  };
  for (const folder of imports.keys()) {
    const circle = circleFrom(folder, []);
    if (circle.length > 0) return circle;
  }
  return [];
}

test('no two folders import each other, be it over others', () => {
  const imports = importsOfFolders(['src', 'loadgen']);
  expect(imports.get('src/bench')).toContain('src/base');
  expect(circleIn(imports)).toEqual([]);
});

test('a circle of folders is found', () => {
  const imports = { a: ['b'], b: ['c'], c: ['b'] };
  const graph = new Map(Object.entries(imports).map(([folder, own]) => [folder, new Set(own)]));
  expect(circleIn(graph)).toEqual(['b', 'c', 'b']);
});
