import { betterOf, headlineMetrics, logRatiosOf } from '../metrics/log-ratios.js';
import { type Point, pointKey, type Results, type TopologyRecord } from '../results/schema.js';
import { type Decision, decide } from '../statistics/decide.js';
import type { Section } from './model.js';
import { isUsual, wholeVariants } from './variants.js';

/** A run and what was made of it. */
export type Reported = { results: Results; sections: Section[] };

export type HeadlineMetric = (typeof headlineMetrics)[number];

/** What is decided of one metric at one point. */
export type Answer = Decision & {
  /** Rounds in which others had so much of the machine that nothing is decided by them. */
  disturbed: number;
};

/** What a run was to answer at one point. */
export type HeadlinePoint = {
  application: string;
  topology: TopologyRecord;
  point: Point;
  /** All of the application's, to tell this one from. */
  points: Point[];
  /** What is compared with the baseline. */
  variant: string;
  answers: Record<HeadlineMetric, Answer>;
};

/**
 * What the runs of a file were to answer, in the order in which it was measured: one family, so that the chance that anything
 * here is wrong is that of `decide`.
 */
export function headlinePoints(runs: Reported[]): HeadlinePoint[] {
  const asked = runs.flatMap((run) => askedOf(run));
  const paired = asked.flatMap((one) => headlineMetrics.map((metric) => pairsOf(one, metric)));
  const decisions = decide(paired);
  const answer = (one: Asked, metric: HeadlineMetric): Answer => {
    const key = keyOf(one, metric);
    const disturbed = paired.find((pair) => pair.key === key)?.disturbed ?? 0;
    return { ...(decisions.get(key) as Decision), disturbed };
  };
  return asked.map((one) => {
    const { results, ...rest } = one;
    const { application } = results.machine.workload;
    const [serverCpuUs, throughput] = headlineMetrics.map((metric) => answer(one, metric)) as [
      Answer,
      Answer,
    ];
    return { application, ...rest, answers: { serverCpuUs, throughput } };
  });
}

type Asked = Omit<HeadlinePoint, 'application' | 'answers'> & { results: Results };

const keyOf = ({ results, topology, point, variant }: Asked, metric: HeadlineMetric) =>
  [results.machine.workload.application, topology.name, pointKey(point), variant, metric].join(' ');

function pairsOf(asked: Asked, metric: HeadlineMetric) {
  const { results, topology, point, variant } = asked;
  const ids = { variant, rival: 'baseline' };
  const { logRatios, disturbed } = logRatiosOf(results.samples, topology, point, ids, metric);
  return { key: keyOf(asked, metric), better: betterOf[metric], logRatios, disturbed: disturbed.length };
}

/** What its plan says; of older results, the first engine with all techniques at the points that come first. */
function askedOf({ results, sections }: Reported): Asked[] {
  const { topologies, plan } = results.machine;
  const planned = plan.phases.flatMap(({ topology: name, headline, points }) => {
    const topology = topologies.find((one) => one.name === name);
    if (!headline || !topology) return [];
    return points.map((point) => ({ results, topology, point, points, variant: headline.variant }));
  });
  return planned.length > 0 ? planned : firstPoints(results, sections);
}

function firstPoints(results: Results, [section]: Section[]): Asked[] {
  const [subject] = section ? wholeVariants(section.variants.filter(isUsual)) : [];
  if (!section || !subject) return [];
  const { topology, points } = section;
  return points.map((point) => ({ results, topology, point, points, variant: subject.id }));
}
