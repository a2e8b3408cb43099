import { engineName, type Variant } from '../results/schema.js';

/** Of each engine the variant with the most techniques, and of those that wait for a batch as well. */
export function wholeVariants(variants: Variant[]): Variant[] {
  const onChannels = variants.filter(({ engine }) => engine);
  const byTechniques = [...onChannels].sort((a, b) => b.techniques.length - a.techniques.length);
  const kindOf = ({ engine, moderationUs }: Variant) => `${engine} ${moderationUs}`;
  const kinds = new Set(onChannels.map(kindOf));
  return [...kinds].map((kind) => byTechniques.find((variant) => kindOf(variant) === kind) as Variant);
}

/** Whether it is as the paper's figures have it: neither without a lock, nor does it wait for a batch. */
export const isUsual = ({ fineGrainedLocks, moderationUs }: Variant) =>
  !fineGrainedLocks && moderationUs === 0;

/** For sorting: stock I/O first, the baseline before its rivals; then by engine, the one with fewer techniques first. */
export function inOrder(a: Variant, b: Variant): number {
  return rankOf(a).localeCompare(rankOf(b));
}

function rankOf({ id, engine, techniques, fineGrainedLocks, moderationUs }: Variant): string {
  if (!engine) return `0${id === 'baseline' ? 0 : 1}`;
  const forms = [fineGrainedLocks, moderationUs > 0].map(Number);
  return [1, engineName.options.indexOf(engine), techniques.length, ...forms].join('');
}
