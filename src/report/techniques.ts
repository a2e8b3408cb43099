import {
  type EngineName,
  type Point,
  pointKey,
  type TechniqueName,
  type Variant,
} from '../results/schema.js';
import type { Section } from './model.js';
import { type Estimate, estimate } from './statistics.js';
import { isUsual } from './variants.js';

/** One row of the paper's Table 3: what one more technique added, as a share of the baseline's throughput. */
export type Step = {
  label: string;
  added: TechniqueName | 'total';
  gains: Gain[];
};

/** The gain at one point. */
type Gain = { point: Point; gain: Estimate };

/** The accumulation on one engine, where all of it was measured. */
export type Accumulation = { engine: EngineName; steps: Step[] };

/** The engines of a section on which the techniques were measured one on top of the other. */
export function accumulations(section: Section): Accumulation[] {
  const engines = new Set(section.variants.flatMap(({ engine }) => (engine ? [engine] : [])));
  return [...engines].flatMap((engine) => {
    const chain = chainOf(section, engine);
    if (chain.length < 2) return [];
    const baseline = section.variants.find(({ id }) => id === 'baseline');
    if (!baseline) return [];
    return [{ engine, steps: stepsOf(section, baseline, chain) }];
  });
}

/** The variants of an engine, each with one technique more than the one before it. */
function chainOf({ variants }: Section, engine: EngineName): Variant[] {
  const own = variants.filter((variant) => variant.engine === engine && isUsual(variant));
  const byLength = [1, 2, 3].map((length) => own.find(({ techniques }) => techniques.length === length));
  const chain = byLength.filter((variant) => variant !== undefined);
  const nested = chain.every(
    ({ techniques }, index) =>
      techniques.length === index + 1 &&
      (chain[index - 1]?.techniques ?? []).every((technique) => techniques.includes(technique)),
  );
  return nested ? chain : [];
}

function stepsOf(section: Section, baseline: Variant, chain: Variant[]): Step[] {
  const steps = chain.map((variant, index) => {
    const before = chain[index - 1] ?? baseline;
    const added = variant.techniques.find((technique) => !before.techniques.includes(technique));
    return {
      label: stepLabel(variant, before),
      added: added as TechniqueName,
      gains: gainsOf(section, variant, before, baseline),
    };
  });
  const last = chain.at(-1) as Variant;
  return [...steps, { label: 'Total', added: 'total', gains: gainsOf(section, last, baseline, baseline) }];
}

/** The paper's labels: +P, P +B, PB +L. */
function stepLabel(variant: Variant, before: Variant): string {
  const letters = (one: Variant) => one.id.split('+')[1] ?? '';
  return `${letters(before)} +${letters(variant).slice(letters(before).length)}`.trim();
}

function gainsOf(section: Section, variant: Variant, before: Variant, baseline: Variant): Step['gains'] {
  return section.points.flatMap((point) => {
    const rounds = (one: Variant) => section.rounds(one.id, point);
    const [now, then, base] = [rounds(variant), rounds(before), rounds(baseline)];
    const values = [...now].flatMap(([round, metrics]) => {
      const [from, of] = [then.get(round), base.get(round)];
      return from && of ? [(metrics.throughput - from.throughput) / of.throughput] : [];
    });
    const gain = estimate(values);
    return gain ? [{ point, gain }] : [];
  });
}

/** The gain of a step at a point. */
export function gainAt({ gains }: Step, point: Point): Estimate | undefined {
  return gains.find((one) => pointKey(one.point) === pointKey(point))?.gain;
}
