import { UserError } from '../errors.js';
import { type EngineName, engineName, type TechniqueName, type Variant } from '../results.js';

/** The paper's letters and their order of accumulation (Table 3). */
const letters: readonly [letter: string, technique: TechniqueName][] = [
  ['P', 'partition'],
  ['B', 'batch'],
  ['L', 'lwsocket'],
];

/** libmegapipe's default threshold. */
export const defaultBatch = 32;

export const baseline: Variant = {
  id: 'baseline',
  server: 'baseline',
  engine: null,
  techniques: [],
  batch: null,
};

/**
 * MegaPipe on an engine with some of its techniques.
 *
 * @param batch the threshold, where batching is one of them
 */
export function megapipe(
  engine: EngineName,
  techniques: readonly TechniqueName[],
  batch = defaultBatch,
): Variant {
  const own = letters.filter(([, technique]) => techniques.includes(technique));
  const suffix = own.map(([letter]) => letter).join('');
  return {
    id: suffix ? `${engine}+${suffix}` : engine,
    server: 'megapipe',
    engine,
    techniques: own.map(([, technique]) => technique),
    batch: techniques.includes('batch') ? batch : 1,
  };
}

/** The techniques accumulated in the paper's order: +P, +PB, +PBL. */
export function accumulated(engine: EngineName): Variant[] {
  return letters.map((_, index) =>
    megapipe(
      engine,
      letters.slice(0, index + 1).map(([, technique]) => technique),
    ),
  );
}

/** A variant from its id, as the command line gives it: `baseline`, `uring`, `uring+P`, `epoll+PBL`. */
export function parseVariant(id: string): Variant {
  if (id === 'baseline') return baseline;
  const [, engine, suffix = ''] = /^([a-z]+)(?:\+([A-Z]+))?$/.exec(id) ?? [];
  const known = engineName.safeParse(engine);
  const techniques = [...suffix].map((letter) => letters.find(([own]) => own === letter)?.[1]);
  if (!known.success || techniques.includes(undefined)) {
    throw new UserError(`there is no variant "${id}"`, {
      hint: `a variant is baseline, or an engine (${engineName.options.join(', ')}) with techniques: uring+PBL, epoll+P, uring`,
      exitCode: 2,
    });
  }
  return megapipe(known.data, techniques as TechniqueName[]);
}
