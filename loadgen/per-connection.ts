import { apportion, shuffle } from './apportion.js';
import type { Random } from './random.js';

/** How many requests a connection makes, as named on the command line. */
export type PerConnection =
  | { kind: 'unlimited' }
  | { kind: 'fixed'; requests: number }
  /** Numbers and their weights. */
  | { kind: 'weighted'; numbers: number[]; weights: number[] };

/** Entries of the series that is drawn from a distribution. */
const seriesLength = 2 ** 20;
const largest = 1_000_000;

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

/** 1 to most, k with probability proportional to (k + q)^-s: Zipf's law for q = 0, Mandelbrot's otherwise. */
export function zipfMandelbrot(q: number, s: number, most: number): PerConnection {
  const numbers = upTo(most);
  return { kind: 'weighted', numbers, weights: numbers.map((k) => (k + q) ** -s) };
}

function uniform(low: number, high: number): PerConnection | undefined {
  if (low < 1 || high < low || high > largest) return undefined;
  const numbers = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  return { kind: 'weighted', numbers, weights: numbers.map(() => 1) };
}

/** "1=70,2=20,10=10" */
function histogram(text: string): PerConnection | undefined {
  const rows = text.split(',').map((row) => /^(\d{1,7})=(\d+(?:\.\d+)?)$/.exec(row));
  const numbers = rows.map((row) => Number(row?.[1]));
  const weights = rows.map((row) => Number(row?.[2]));
  const valid = numbers.every((n) => n >= 1 && n <= largest) && weights.some((w) => w > 0);
  return valid && weights.every(Number.isFinite) ? { kind: 'weighted', numbers, weights } : undefined;
}

const number = '(-?\\d+(?:\\.\\d+)?)';
const mandelbrot = new RegExp(`^zipf:(?:${number},)?${number},(\\d{1,7})$`);

function zipfOf(text: string): PerConnection | undefined {
  const match = mandelbrot.exec(text);
  const [q, s, most] = [Number(match?.[1] ?? 0), Number(match?.[2]), Number(match?.[3])];
  return q > -1 && s > 0 && s <= 20 && most >= 1 && most <= largest ? zipfMandelbrot(q, s, most) : undefined;
}

/** Read N, unlimited, uniform:A-B, zipf:S,MAX, zipf:Q,S,MAX or histogram:N=WEIGHT,…; undefined: it is none of these. */
export function parsePerConnection(text: string): PerConnection | undefined {
  if (text === 'unlimited') return { kind: 'unlimited' };
  if (/^\d{1,10}$/.test(text)) {
    const requests = Number(text);
    return requests >= 1 && requests <= 2 ** 31 ? { kind: 'fixed', requests } : undefined;
  }
  const range = /^uniform:(\d{1,7})-(\d{1,7})$/.exec(text);
  if (range) return uniform(Number(range[1]), Number(range[2]));
  if (text.startsWith('histogram:')) return histogram(text.slice('histogram:'.length));
  return zipfOf(text);
}

/**
 * Requests of each connection, in turn; 0: no limit. Not drawn at random, but in proportion, and shuffled: a series
 * has the distribution's mean, and its largest number once at least.
 */
export function perConnectionSeries(distribution: PerConnection, random: Random): Uint32Array {
  if (distribution.kind === 'unlimited') return Uint32Array.of(0);
  if (distribution.kind === 'fixed') return Uint32Array.of(distribution.requests);
  const { numbers, weights } = distribution;
  const series = new Uint32Array(seriesLength);
  let at = 0;
  apportion(weights, seriesLength).forEach((count, i) => {
    series.fill(numbers[i] ?? 1, at, at + count);
    at += count;
  });
  series[seriesLength - 1] = numbers
    .filter((_, i) => (weights[i] ?? 0) > 0)
    .reduce((a, b) => Math.max(a, b), 1);
  return shuffle(series, random);
}
