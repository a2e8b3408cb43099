import { type Comparison, decide, type Verdict } from '../../src/statistics/decide.js';

/** Numbers from 0 to 1, the same for the same seed (Mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A source of one comparison's log ratios, round after round. */
export type Source = () => number;

export function normal(random: () => number, spread: number, mean = 0): Source {
  return () => mean + spread * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Student's t of three degrees of freedom, whose outliers are many times the usual spread. */
export function heavyTailed(random: () => number, spread: number, mean = 0): Source {
  const draw = normal(random, 1);
  return () => mean + (spread * draw()) / Math.sqrt((draw() ** 2 + draw() ** 2 + draw() ** 2) / 3);
}

/** Each server comes up in one of two modes, as its connections happen to fall on its threads, with little noise in either. */
export function twoModes(random: () => number, apart: number, mean = 0): Source {
  const noise = normal(random, apart / 5);
  const server = () => (random() < 0.5 ? 0 : apart) + noise();
  return () => mean + server() - server();
}

/**
 * A machine whose state drifts from sample to sample (autoregressive, .8), for both servers of a pair, which are measured one
 * after the other in an order that varies: what doesn't cancel is what it drifted between the two.
 */
export function drifting(random: () => number, spread: number, mean = 0): Source {
  const [shock, noise] = [normal(random, spread), normal(random, spread)];
  let state = 0;
  const sample = () => {
    state = 0.8 * state + shock();
    return state + noise();
  };
  return () => {
    const [first, second] = [sample(), sample()];
    return mean + (random() < 0.5 ? first - second : second - first);
  };
}

/** Each pair resembles the one before it. */
export function autocorrelated(random: () => number, spread: number, mean = 0): Source {
  const noise = normal(random, spread);
  let deviation = 0;
  return () => {
    deviation = 0.1 * deviation + noise();
    return mean + deviation;
  };
}

/** Each family is looked at after every round: the verdicts that any of its looks gave, a comparison each. */
function lookAtAll(sources: Source[], rounds: number): Set<Verdict>[] {
  const family: (Comparison & { logRatios: number[] })[] = sources.map((_source, index) => ({
    key: String(index),
    better: 'lower',
    logRatios: [],
  }));
  const seen = sources.map(() => new Set<Verdict>());
  for (let round = 0; round < rounds; round++) {
    for (const [index, source] of sources.entries()) family[index]?.logRatios.push(source());
    for (const [key, { verdict }] of decide(family)) seen[Number(key)]?.add(verdict);
  }
  return seen;
}

/** The share of the families in which any look at any comparison gave one of the verdicts. */
export function familyRate(
  families: number,
  rounds: number,
  verdicts: Verdict[],
  sources: () => Source[],
): number {
  let wrong = 0;
  for (let family = 0; family < families; family++) {
    const seen = lookAtAll(sources(), rounds);
    if (seen.some((one) => verdicts.some((verdict) => one.has(verdict)))) wrong++;
  }
  return wrong / families;
}

/** After how many rounds half of the comparisons, each in a family of `size` like it, have their verdict for good or not. */
export function medianRounds(size: number, source: () => Source, verdict: Verdict): number {
  const rounds = Array.from({ length: 20 }, () =>
    roundsOfFamily(Array.from({ length: size }, source), verdict),
  );
  const sorted = rounds.flat().sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}

function roundsOfFamily(sources: Source[], wanted: Verdict): number[] {
  const rounds = sources.map(() => Number.POSITIVE_INFINITY);
  const family = sources.map((_source, index) => ({
    key: String(index),
    better: 'lower' as const,
    logRatios: [] as number[],
  }));
  for (let round = 1; round <= 60; round++) {
    for (const [index, source] of sources.entries()) family[index]?.logRatios.push(source());
    for (const [key, { verdict }] of decide(family)) {
      if (verdict === wanted) rounds[Number(key)] = Math.min(rounds[Number(key)] as number, round);
    }
  }
  return rounds;
}
