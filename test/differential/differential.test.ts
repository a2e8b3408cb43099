import { expect } from 'vitest';
import { engines } from '../engines.js';
import { testUnless } from '../skip.js';
import { memcached } from './memcached/subject.js';
import { nginx } from './nginx/subject.js';
import { type Engine, trySeeds } from './search.js';
import type { Subject } from './subject.js';

/*
 * Random scenarios by fixed seeds: what an engine does in them otherwise than stock fails the test. Longer runs are done by hand, see
 * README.md.
 */

/**
 * Not those by which nginx comes near worker_connections (3, by a loop, and 4): whom it refuses then is chance, on stock too. By 7 an
 * answer is parted into other chunks.
 */
const seeds = [1, 2, 5, 6];
const shrinkMs = 60_000;

async function findingsOf<Scenario>(subject: Subject<Scenario>, engine: Engine): Promise<string[]> {
  const found: string[] = [];
  await trySeeds(subject, engine, seeds.values(), shrinkMs, (finding) => void found.push(finding));
  return found;
}

for (const { engine, missing } of engines) {
  if (engine === 'kernel') continue;
  for (const subject of [nginx, memcached] as Subject<unknown>[]) {
    const name = `${subject.name} on ${engine} is as stock in random scenarios`;
    testUnless(missing)(name, async () => expect(await findingsOf(subject, engine)).toEqual([]));
  }
}
