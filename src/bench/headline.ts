import { betterOf, headlineMetrics, logRatiosOf } from '../metrics/log-ratios.js';
import type { Phase, Point, SampleRecord, TopologyRecord } from '../results/schema.js';
import { type Comparison, decide } from '../statistics/decide.js';
import type { Plan } from './plan.js';

/** What a run is to answer, of all its applications: a wrong answer to any of them is a wrong one. */
export type Family = {
  /** What is known by now of an application's part of it. */
  learn(application: string, comparisons: Comparison[]): void;
  /** The keys of those comparisons that are decided. */
  decided(): ReadonlySet<string>;
};

/** A family of which nothing has been measured yet. */
export function startFamily(runs: { application: string; plan: Plan }[]): Family {
  const known = new Map(
    runs.map(({ application, plan }) => [
      application,
      plan.phases.flatMap((phase) => unmeasured(application, phase)),
    ]),
  );
  return {
    learn: (application, comparisons) => void known.set(application, comparisons),
    decided: () => {
      const decisions = [...decide([...known.values()].flat())];
      return new Set(decisions.flatMap(([key, { verdict }]) => (verdict === 'open' ? [] : [key])));
    },
  };
}

const keyOf = (application: string, point: Point, metric: string) =>
  [application, ...Object.values(point), metric].join(' ');

function unmeasured(application: string, { headline, points }: Phase): Comparison[] {
  if (!headline) return [];
  return points.flatMap((point) =>
    headlineMetrics.map((metric) => ({
      key: keyOf(application, point, metric),
      better: betterOf[metric],
      logRatios: [],
    })),
  );
}

/** A phase's headline comparisons with what its samples say of them; of each sample the last attempt. */
export function headlineComparisons(
  application: string,
  { headline, points }: Phase,
  topology: TopologyRecord,
  samples: SampleRecord[],
): Comparison[] {
  if (!headline) return [];
  const ids = { variant: headline.variant, rival: 'baseline' };
  return points.flatMap((point) =>
    headlineMetrics.map((metric) => ({
      key: keyOf(application, point, metric),
      better: betterOf[metric],
      ...logRatiosOf(samples, topology, point, ids, metric),
    })),
  );
}

/** The points of which a headline comparison is still open. */
export function openPoints(application: string, { points }: Phase, decided: ReadonlySet<string>): Point[] {
  return points.filter((point) =>
    headlineMetrics.some((metric) => !decided.has(keyOf(application, point, metric))),
  );
}
