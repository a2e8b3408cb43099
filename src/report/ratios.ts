import { betterOf, type ComparedMetric, comparedMetrics, pairRounds } from '../metrics/log-ratios.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Interval, LogRatios } from '../statistics/confidence-sequence.js';
import { type Decision, decideAlone, type Verdict } from '../statistics/decide.js';
import type { Estimate } from './statistics.js';

/** A ratio to a rival, what it can be, and what is decided of it. */
export type Ratio = Interval & {
  verdict: Verdict;
  /** Rounds that it rests on. */
  pairs: number;
  /** Rounds in which others had so much of the machine that nothing is decided by them. */
  disturbed: number;
};

export type Ratios = Record<ComparedMetric, Ratio | undefined>;

type Rounds = Map<number, Metrics>;

/** To a rival of the same round, which met the same state of the machine; each decided as if it were the only one. */
export function ratiosTo(rival: Rounds | undefined, rounds: Rounds): Ratios {
  const entries = comparedMetrics.map((metric) => [metric, rival && ratioOf(rounds, rival, metric)]);
  return Object.fromEntries(entries) as Ratios;
}

export function ratioOf(rounds: Rounds, rival: Rounds, metric: ComparedMetric): Ratio | undefined {
  const { logRatios, disturbed } = pairRounds(rounds, rival, metric);
  const decision = decideOne(logRatios, metric);
  // Too few undisturbed rounds for an interval: what all of them say is shown, and decides nothing.
  const shown = !isSound({ pairs: logRatios.length })
    ? decideOne([...logRatios, ...disturbed], metric)
    : decision;
  if (!shown.interval) return undefined;
  const { verdict } = decision;
  return { ...shown.interval, verdict, pairs: logRatios.length, disturbed: disturbed.length };
}

function decideOne(logRatios: LogRatios, metric: ComparedMetric): Decision {
  const comparison = { key: metric, better: betterOf[metric], logRatios };
  return decideAlone([comparison]).get(metric) as Decision;
}

/** Whether its interval is of undisturbed rounds alone. */
export const isSound = ({ pairs }: Pick<Ratio, 'pairs'>) => pairs >= 2;

/** Few rounds exclude nothing. */
export const isBounded = ({ high }: Interval) => Number.isFinite(high);

/** For a figure, where an interval without bounds is none. */
export function drawn(ratio: Ratio | undefined): Estimate | undefined {
  if (!ratio) return undefined;
  const { ratio: median, low, high, pairs, disturbed } = ratio;
  const bounds = isBounded(ratio) ? { low, high } : { low: median, high: median };
  return { median, ...bounds, coverage: 0.95, samples: pairs || disturbed };
}
