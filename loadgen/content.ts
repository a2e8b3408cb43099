import { seededRandom } from './random.js';

/**
 * What files hold: bytes that repeat themselves after a prime number, from a place that depends on the file. So a
 * client knows every byte at every offset of every file, and compares at the speed of memory.
 */
const period = 65_521;
/** LOAD_PATTERN_RUN: so much of the repeat lies behind the pattern. */
const run = 65_536;
const seed = 2012;

let made: Uint8Array | undefined;

/** The pattern and its repeat, as the native engine wants it. */
export function contentPattern(): Uint8Array {
  if (made) return made;
  const random = seededRandom(seed, 0);
  made = new Uint8Array(period + run);
  for (let i = 0; i < period; i++) made[i] = random() * 256;
  for (let i = period; i < made.length; i++) made[i] = made[i - period] ?? 0;
  return made;
}

/** Where in the pattern the n-th file begins. */
export function contentStart(n: number): number {
  return (Math.imul(n + 1, 0x9e3779b1) >>> 0) % period;
}

/** A file's bytes in pieces; each is good until the next is asked for. */
export function* contentOf(n: number, size: number): Generator<Uint8Array> {
  const repeats = 16;
  const pattern = contentPattern().subarray(0, period);
  const turned = Buffer.concat([pattern.subarray(contentStart(n)), pattern.subarray(0, contentStart(n))]);
  const piece = size < period ? turned : Buffer.concat(Array.from({ length: repeats }, () => turned));
  for (let left = size; left > 0; left -= piece.length) yield piece.subarray(0, left);
}
