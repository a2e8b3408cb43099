import type { Point, Variant } from '../results/schema.js';
import { describeValues, formatPercent, formatRatio } from './format.js';
import type { Compared, Section } from './model.js';
import { type Estimate, estimate } from './statistics.js';
import { pairedRatios } from './summary.js';
import { accumulations, type Step } from './techniques.js';
import { wholeVariants } from './variants.js';
import { decisiveCoverage, type Verdict, verdictOf } from './verdict.js';

/** Sentences under one heading: what a variant showed against a rival, or what the techniques added. */
export type Finding = { section: Section; heading: string; sentences: string[] };

/** What the run shows, in words. Nothing is said that was not computed from the samples. */
export function findings(sections: Section[]): Finding[] {
  return sections.flatMap((section) => {
    const compared = rivalries(section).map((rivalry) => ({
      section,
      heading: `${rivalry.variant.id} against ${rivalry.rival.id}`,
      sentences: compareAll(section, rivalry),
    }));
    const techniques = accumulations(section).map(({ engine, steps }) => ({
      section,
      heading: `What each technique added on ${engine}, in percent of the baseline’s throughput`,
      sentences: steps.filter(({ added }) => added !== 'total').map((step) => gainWords(section, step)),
    }));
    return [...compared, ...techniques].filter(({ sentences }) => sentences.length > 0);
  });
}

type Rivalry = { variant: Variant; rival: Variant; metrics: readonly Compared[] };

/** Each engine with the most techniques against all of stock I/O with the same locks, then the engines against each other. */
function rivalries({ variants, view }: Section): Rivalry[] {
  return [false, true].flatMap((fine) =>
    rivalriesAmong(
      variants.filter(({ fineGrainedLocks }) => fineGrainedLocks === fine),
      view,
    ),
  );
}

function rivalriesAmong(variants: Variant[], view: Section['view']): Rivalry[] {
  const stock = variants.filter(({ server }) => server === 'baseline');
  const wholes = wholeVariants(variants);
  const [first, ...others] = wholes;
  return [
    ...wholes.flatMap((variant) =>
      stock.map((rival) => ({
        variant,
        rival,
        metrics: view.metrics,
      })),
    ),
    ...others.flatMap((rival) =>
      first ? [{ variant: first, rival, metrics: view.metrics.slice(0, 2) }] : [],
    ),
  ];
}

const names: Record<Compared, string> = {
  throughput: 'Throughput',
  serverCpuUs: 'Server CPU a request',
  p50Us: 'Median latency',
  p99Us: 'p99 latency',
};

function verdictWords(verdict: Verdict, metric: Compared): string {
  const latency = metric === 'p50Us' || metric === 'p99Us';
  if (verdict === 'above') return latency ? 'higher' : 'more';
  if (verdict === 'below') return latency ? 'lower' : 'less';
  return verdict === 'undecided' ? 'no difference shown' : 'too few samples to tell';
}

type Comparison = { point: Point; ratio: Estimate; verdict: Verdict };

function compareAll(section: Section, { variant, rival, metrics }: Rivalry): string[] {
  return metrics.flatMap((metric) => {
    const all = section.points.flatMap((point): Comparison[] => {
      const [own, other] = [section.rounds(variant.id, point), section.rounds(rival.id, point)];
      const ratio = estimate(pairedRatios(own, other, metric));
      return ratio ? [{ point, ratio, verdict: verdictOf(ratio) }] : [];
    });
    const verdicts: Verdict[] = ['above', 'below', 'undecided', 'unknown'];
    const clauses = verdicts
      .map((verdict) => clause(section, all, verdict, metric))
      .filter((text) => text !== '');
    return clauses.length > 0 ? [`${names[metric]}: ${clauses.join('; ')}.`] : [];
  });
}

function clause(section: Section, all: Comparison[], verdict: Verdict, metric: Compared): string {
  const own = all.filter((one) => one.verdict === verdict);
  if (own.length === 0) return '';
  const values = own.map(({ point, ratio }) => ({
    point,
    text: formatRatio(ratio.median),
    value: ratio.median,
  }));
  const where = own.length > 3 ? ` at ${own.length} of ${all.length} points` : '';
  return `${verdictWords(verdict, metric)}${where}, ${describeValues(section, values)}${intervalWords(own.length, verdict)}`;
}

function intervalWords(count: number, verdict: Verdict): string {
  if (verdict === 'unknown') return '';
  const not = verdict === 'undecided';
  if (count === 1) return ` (the interval ${not ? 'does not exclude' : 'excludes'} 1)`;
  return ` (the intervals ${not ? 'do not ' : ''}exclude 1)`;
}

/** In the order of the paper's Table 3. */
function gainWords(section: Section, { added, gains }: Step): string {
  const values = gains.map(({ point, gain }) => ({
    point,
    value: gain.median,
    text: `${formatPercent(gain.median)}${tellsFromNothing(gain) ? '' : ' (not told from nothing)'}`,
  }));
  return `${added}: ${describeValues(section, values)}.`;
}

function tellsFromNothing({ low, high, coverage }: Estimate): boolean {
  return coverage >= decisiveCoverage && (low > 0 || high < 0);
}
