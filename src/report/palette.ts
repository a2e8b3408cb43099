import type { Variant } from '../results/schema.js';

/** How a variant is drawn: the same colour in every figure; more techniques, a fuller line. */
export type Look = { color: string; dash: string; symbol: Shape };

type Shape = 'circle' | 'square' | 'triangle' | 'diamond' | 'times';

/** Rivals over stock I/O. */
const stock: Record<string, Look> = {
  reuseport: { color: 'var(--reuseport)', dash: '8 3 2 3', symbol: 'diamond' },
  steered: { color: 'var(--steered)', dash: '8 3', symbol: 'triangle' },
  sleep: { color: 'var(--sleep)', dash: '2 3', symbol: 'square' },
  raw: { color: 'var(--raw)', dash: '5 2 1 2', symbol: 'diamond' },
};

/** Colours are named for engines and defined in the page's style, once for light and once for dark. */
export function lookOf(variant: Variant): Look {
  const look = plainLook(variant);
  // As the paper has them in its Figure 5.
  if (variant.fineGrainedLocks) return { ...look, symbol: 'times' };
  return variant.moderationUs > 0 ? { ...look, dash: '10 3', symbol: 'square' } : look;
}

function plainLook({ id, server, engine, techniques }: Variant): Look {
  if (server === 'baseline') return stock[id] ?? { color: 'var(--baseline)', dash: 'none', symbol: 'square' };
  const step = Math.min(techniques.length, 3);
  const dash = (['1 4', '2 4', '6 3', 'none'] as const)[step] ?? 'none';
  const symbol = (['diamond', 'diamond', 'triangle', 'circle'] as const)[step] ?? 'circle';
  return { color: `var(--${engine}-${step})`, dash, symbol };
}
