/** A number in [0, 1), the next of a reproducible series. */
export type Random = () => number;

/** splitmix32: spreads a seed's bits. */
function spread(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}

/**
 * sfc32 with 53 bits a number.
 *
 * @param stream which of the independent series of this seed
 */
export function seededRandom(seed: number, stream: number): Random {
  const next = spread(seed ^ Math.imul(stream + 1, 0x632be5ab));
  let [a, b, c, counter] = [next(), next(), next(), 1];
  const word = () => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 16; i++) word();
  return () => ((word() >>> 5) * 0x4000000 + (word() >>> 6)) / 2 ** 53;
}

/** Uniform integer in [low, high]. */
export function uniformInteger(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

/** Box and Muller's first half. */
export function normal(random: Random, mu: number, sigma: number): number {
  return mu + sigma * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Generalized Pareto, by inversion. */
export function generalizedPareto(random: Random, theta: number, sigma: number, k: number): number {
  return theta + (sigma * ((1 - random()) ** -k - 1)) / k;
}

/** Generalized extreme value, by inversion. */
export function generalizedExtremeValue(random: Random, mu: number, sigma: number, k: number): number {
  return mu + (sigma * ((-Math.log(1 - random())) ** -k - 1)) / k;
}
