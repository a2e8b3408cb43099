import type { Random } from './random.js';

/** log(1 + x) / x, also near 0. */
function logRatio(x: number): number {
  return Math.abs(x) > 1e-8 ? Math.log1p(x) / x : 1 - x * (1 / 2 - x * (1 / 3 - x / 4));
}

/** (exp(x) - 1) / x, also near 0. */
function expRatio(x: number): number {
  return Math.abs(x) > 1e-8 ? Math.expm1(x) / x : 1 + (x / 2) * (1 + (x / 3) * (1 + x / 4));
}

/**
 * Ranks 1 to n with probability proportional to rank^-alpha, for any alpha > 0: rejection-inversion
 * (W. Hörmann, G. Derflinger, 1996), which needs no table and no sum over the ranks.
 */
export function zipf(random: Random, n: number, alpha: number): () => number {
  const hIntegral = (x: number) => expRatio((1 - alpha) * Math.log(x)) * Math.log(x);
  const h = (x: number) => Math.exp(-alpha * Math.log(x));
  const hIntegralInverse = (x: number) => {
    const t = Math.max(-1, x * (1 - alpha));
    return Math.exp(logRatio(t) * x);
  };
  const first = hIntegral(1.5) - 1;
  const last = hIntegral(n + 0.5);
  const sure = 2 - hIntegralInverse(hIntegral(2.5) - h(2));
  return () => {
    for (;;) {
      const u = last + random() * (first - last);
      const x = hIntegralInverse(u);
      const rank = Math.min(n, Math.max(1, Math.round(x)));
      if (rank - x <= sure || u >= hIntegral(rank + 0.5) - h(rank)) return rank;
    }
  };
}
