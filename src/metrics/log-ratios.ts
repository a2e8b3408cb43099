import {
  type OkSample,
  type Point,
  pointKey,
  type SampleRecord,
  type TopologyRecord,
} from '../results/schema.js';
import type { Comparison } from '../statistics/decide.js';
import { type Metrics, metricsOf } from './metrics.js';

/** What variants are compared in, the most robust first: CPU time hardly depends on what else the machine does. */
export const comparedMetrics = ['serverCpuUs', 'requestsPerCpuS', 'throughput', 'p50Us', 'p99Us'] as const;
export type ComparedMetric = (typeof comparedMetrics)[number];

/** The variant that is the baseline once more: how it differs from it is what a difference of nothing looks like. */
export const againId = 'again';

/** What a run is to answer of each of its headline points. */
export const headlineMetrics = ['serverCpuUs', 'throughput'] as const satisfies readonly ComparedMetric[];

export const betterOf: Record<ComparedMetric, Comparison['better']> = {
  serverCpuUs: 'lower',
  requestsPerCpuS: 'higher',
  throughput: 'higher',
  p50Us: 'lower',
  p99Us: 'lower',
};

/** Pairs of a variant and a rival of the same round. */
type Paired = {
  /** Of rounds in which others left the machine alone. */
  logRatios: number[];
  /** Of the others, which say nothing of the servers. */
  disturbed: number[];
};

/**
 * The logarithms of a variant's ratios to a rival, a round each. A round that lacks either is left out. Apart is, of all but CPU
 * time a request, one in which others took more than a tenth of the CPUs' time: such ratios are about how the three share
 * the machine.
 *
 * @param samples of one attempt each
 */
export function logRatiosOf(
  samples: readonly SampleRecord[],
  topology: TopologyRecord,
  point: Point,
  ids: { variant: string; rival: string },
  metric: ComparedMetric,
): Paired {
  const own = samples.filter(
    (one) => one.topology === topology.name && pointKey(one.point) === pointKey(point),
  );
  const rounds = (id: string) =>
    roundsOf(
      own.filter(({ variant }) => variant.id === id),
      topology,
    );
  return pairRounds(rounds(ids.variant), rounds(ids.rival), metric);
}

/** A variant's metrics in each round in which it did not fail. */
export function roundsOf(samples: readonly SampleRecord[], topology: TopologyRecord): Map<number, Metrics> {
  const timed = samples.filter((one): one is OkSample => one.status === 'ok' && one.kind === 'timed');
  return new Map(timed.map((sample) => [sample.round, metricsOf(sample, topology)]));
}

/** As `logRatiosOf`, of rounds that are at hand. */
export function pairRounds(
  rounds: Map<number, Metrics>,
  rival: Map<number, Metrics>,
  metric: ComparedMetric,
): Paired {
  const pairs = [...rounds].flatMap(([round, own]) => {
    const other = rival.get(round);
    const logRatio = other ? Math.log(own[metric] / other[metric]) : Number.NaN;
    // Without a request, or without CPU time that was seen, there is no ratio.
    return other && Number.isFinite(logRatio)
      ? [{ logRatio, disturbed: own.disturbed || other.disturbed }]
      : [];
  });
  const isKept = ({ disturbed }: { disturbed: boolean }) => metric === 'serverCpuUs' || !disturbed;
  const values = (some: typeof pairs) => some.map(({ logRatio }) => logRatio);
  return {
    logRatios: values(pairs.filter(isKept)),
    disturbed: values(pairs.filter((pair) => !isKept(pair))),
  };
}
