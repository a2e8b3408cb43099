import type { Variant } from '../results/schema.js';
import { figureSpecs } from './figure-specs.js';
import { html, type Markup } from './markup.js';
import type { Section } from './model.js';
import { lookOf } from './palette.js';
import { paperMarks } from './paper-marks.js';

const techniqueLetters = 'P: partitioned accept queue; B: batched requests; L: lightweight sockets';

const fineWords = 'FL: fine-grained locks only, no lock for the whole cache';

const waitingWords = (us: number) => `W${us}: waits up to ${us} µs for a batch of completions`;

/** What each line of the figures is. */
export function legend(section: Section): Markup {
  const { variants } = section;
  const waits = variants.map(({ moderationUs }) => moderationUs).filter((us) => us > 0);
  const published = figureSpecs.some(({ name }) => paperMarks(section, name).length > 0);
  const explained = [
    ...(variants.some(({ techniques }) => techniques.length > 0) ? [techniqueLetters] : []),
    ...(variants.some(({ fineGrainedLocks }) => fineGrainedLocks) ? [fineWords] : []),
    ...[...new Set(waits)].map(waitingWords),
  ].join('; ');
  return html`<p class="legend">${variants.map((variant) => html`<span>${sample(variant)}${variant.id}</span>`)}${published ? paperSample : ''}</p>
<p class="muted">${explained}</p>`;
}

const paperSample = html`<span><svg viewBox="0 0 36 14" aria-hidden="true"><path d="M13,2 23,12 M13,12 23,2" stroke-width="2" style="stroke:var(--paper)"/></svg>the paper (2012); as a triangle where it is beyond the axis</span>`;

function sample(variant: Variant): Markup {
  const { color, dash } = lookOf(variant);
  return html`<svg viewBox="0 0 36 14" aria-hidden="true"><line x1="0" x2="36" y1="7" y2="7" stroke-width="2" style="stroke:${color}" stroke-dasharray="${dash}"/>${shape(variant)}</svg>`;
}

function shape(variant: Variant): Markup {
  const { color, symbol } = lookOf(variant);
  const points = { triangle: '18,1 24,12 12,12', diamond: '18,1 24,7 18,13 12,7' };
  if (symbol === 'circle') return html`<circle cx="18" cy="7" r="5" style="fill:${color}"/>`;
  if (symbol === 'square') return html`<rect x="13.5" y="2.5" width="9" height="9" style="fill:${color}"/>`;
  if (symbol === 'times')
    return html`<path d="M13,2 23,12 M13,12 23,2" stroke-width="2" style="stroke:${color}"/>`;
  return html`<polygon points="${points[symbol]}" style="fill:${color}"/>`;
}
