import { betterOf, type ComparedMetric } from '../metrics/log-ratios.js';
import type { Point, Variant } from '../results/schema.js';
import { usualRule, type Verdict } from '../statistics/decide.js';
import { describeValues, formatPercent, formatRatio, rangeWords } from './format.js';
import type { Section } from './model.js';
import { type Ratio, ratioOf } from './ratios.js';
import type { Estimate } from './statistics.js';
import { accumulations, type Step } from './techniques.js';
import { wholeVariants } from './variants.js';
import { decisiveCoverage } from './verdict.js';

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
      sentences: steps
        .filter(({ added, gains }) => added !== 'total' && gains.length > 0)
        .map((step) => gainWords(section, step)),
    }));
    return [...compared, ...techniques].filter(({ sentences }) => sentences.length > 0);
  });
}

type Rivalry = { variant: Variant; rival: Variant; metrics: readonly ComparedMetric[] };

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
      first ? [{ variant: first, rival, metrics: view.metrics.slice(0, 3) }] : [],
    ),
  ];
}

/** A metric, as a sentence begins with it. */
export const metricNames: Record<ComparedMetric, string> = {
  serverCpuUs: 'Server CPU a request',
  requestsPerCpuS: 'Requests per CPU-second of both sides',
  throughput: 'Throughput',
  p50Us: 'Median latency',
  p99Us: 'p99 latency',
};

/** A verdict in words of the metric. */
export function verdictWords(verdict: Verdict, metric: ComparedMetric): string {
  if (verdict === 'open') return 'not decided';
  if (verdict === 'same') return `the same within ${usualRule.margin * 100} %`;
  const isMore = (verdict === 'better') === (betterOf[metric] === 'higher');
  const isLatency = metric === 'p50Us' || metric === 'p99Us';
  if (isLatency) return isMore ? 'higher' : 'lower';
  return isMore ? 'more' : 'less';
}

type Compared = { point: Point; ratio: Ratio };

function compareAll(section: Section, { variant, rival, metrics }: Rivalry): string[] {
  return metrics.flatMap((metric) => {
    const all = section.points.flatMap((point): Compared[] => {
      const [own, other] = [section.rounds(variant.id, point), section.rounds(rival.id, point)];
      const ratio = ratioOf(own, other, metric);
      return ratio ? [{ point, ratio }] : [];
    });
    const verdicts: Verdict[] = ['better', 'worse', 'same', 'open'];
    const clauses = verdicts
      .map((verdict) => clause(section, all, verdict, metric))
      .filter((text) => text !== '');
    return clauses.length > 0 ? [`${metricNames[metric]}: ${clauses.join('; ')}.`] : [];
  });
}

function clause(section: Section, all: Compared[], verdict: Verdict, metric: ComparedMetric): string {
  const own = all.filter(({ ratio }) => ratio.verdict === verdict);
  if (own.length === 0) return '';
  const values = own.map(({ point, ratio }) => ({
    point,
    text: `${formatRatio(ratio.ratio)} (${verdict === 'open' ? 'could be ' : ''}${rangeWords(ratio)})`,
    value: ratio.ratio,
  }));
  const where = own.length > 3 ? ` at ${own.length} of ${all.length} points` : '';
  const colon = verdict === 'open' ? ':' : ',';
  return `${verdictWords(verdict, metric)}${where}${colon} ${describeValues(section, values)}`;
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
