import type { Point } from '../results/schema.js';
import { usualRule } from '../statistics/decide.js';
import { describeValues, formatPercent, formatRatio, listOf, rangeWords, topologyTitle } from './format.js';
import type { Section } from './model.js';
import { coresWords, pointWords } from './points.js';
import { isSound, type Ratio } from './ratios.js';
import type { Estimate } from './statistics.js';
import { accumulations, gainAt } from './techniques.js';
import { isUsual, wholeVariants } from './variants.js';
import { decisiveCoverage } from './verdict.js';

/** What became of a claim here. Undecided: the samples don't tell. */
export type Outcome = 'holds' | 'does not hold' | 'undecided';

/** Something that the paper claims, and what was seen of it on a topology. */
export type Judged = { claim: string; where: string; outcome: Outcome; seen: string };

type Seen = { outcome: Outcome; seen: string };
type Claim = { claim: string; where: string; judge(section: Section): Seen | undefined };

/** Claims that can be put to a measurement; each is judged wherever there is what it needs. */
const claims: Record<string, Claim[]> = {
  echo: [
    {
      claim: 'The shorter connections are, the more MegaPipe gains',
      where: 'Fig. 1a, Table 3',
      judge: (section) => judgeFall(section, 'requestsPerConnection'),
    },
    {
      claim: 'The smaller messages are, the more MegaPipe gains',
      where: 'Fig. 4',
      judge: (section) => judgeFall(section, 'messageBytes'),
    },
    {
      claim: 'On long connections batching alone makes the gain',
      where: 'section 5.1',
      judge: judgeBatching,
    },
    {
      claim: 'MegaPipe scales better over cores than a shared listener',
      where: 'Fig. 3',
      judge: judgeSpeedup,
    },
  ],
  memcached: [
    {
      claim: 'Short connections gain throughput',
      where: 'Fig. 5',
      judge: (section) => judgeGain(section, 'requestsPerConnection', isShort),
    },
    {
      claim: 'Persistent connections gain nothing on all cores, where memcached’s global lock is the limit',
      where: 'section 5.2; memcached 1.6 has no such lock any more',
      judge: judgePersistent,
    },
    { claim: 'Median latency does not suffer', where: 'Fig. 6', judge: judgeMedian },
  ],
  nginx: [
    {
      claim: 'All workloads gain throughput',
      where: 'Fig. 7',
      judge: judgeAllWorkloads,
    },
    { claim: 'Smaller files gain more: yahoo/2 more than yahoo', where: 'section 5.3', judge: judgeFiles },
    { claim: 'MegaPipe scales better over cores', where: 'section 5.3', judge: judgeSpeedup },
  ],
};

/** What the paper claims of an application, and what a run shows of it. */
export function judgeClaims(application: string, sections: Section[]): Judged[] {
  return (claims[application] ?? []).flatMap(({ claim, where, judge }) =>
    sections.flatMap((section) => {
      const judged = judge(section);
      if (!judged) return [];
      const on = `${topologyTitle(section.topology.name)}, ${coresWords(mostCores(section))}`;
      return [{ claim, where, outcome: judged.outcome, seen: `${on}: ${judged.seen}` }];
    }),
  );
}

const mostCores = ({ points }: Section) => Math.max(...points.map(({ cores }) => cores));

/** The variant that claims are about: the first engine with all techniques. */
const subjectOf = ({ variants }: Section) => wholeVariants(variants.filter(isUsual))[0];

type At = { point: Point; ratio: Ratio };

/**
 * The subject's throughput to the baseline's along the axis, in the section's order. Of closed loops: an open one sends
 * what it is told to, whoever answers.
 */
function ratiosOf(section: Section): At[] {
  const subject = subjectOf(section);
  if (!subject) return [];
  return section.points.flatMap((point) => {
    const ratio = section.cell(subject.id, point)?.ratios.throughput;
    return ratio && point.rate === null ? [{ point, ratio }] : [];
  });
}

const said = (section: Section, all: At[]) =>
  describeValues(
    section,
    all.map(({ point, ratio }) => ({ point, value: ratio.ratio, text: formatRatio(ratio.ratio) })),
  );

type Bounds = { low: number; high: number };

/** Of a median too few samples tell nothing; a ratio's bounds are as far apart as its rounds are few. */
const boundsOf = ({ coverage, low, high }: Estimate): Bounds =>
  coverage >= decisiveCoverage
    ? { low, high }
    : { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };

/** The first of two is above the second where their intervals are apart. */
function above(first: Bounds, second: Bounds): Outcome {
  if (first.low > second.high) return 'holds';
  return first.high < second.low ? 'does not hold' : 'undecided';
}

/** Of ratios that others did not disturb. */
function aboveInBoth(first: Ratio, second: Ratio): Outcome {
  return !isSound(first) || !isSound(second) ? 'undecided' : above(first, second);
}

function judgeFall(section: Section, axis: Section['axis']): Seen | undefined {
  const all = ratiosOf(section);
  const [first, last] = [all[0], all.at(-1)];
  if (section.axis !== axis || section.facet || !first || !last || first === last) return undefined;
  return {
    outcome: aboveInBoth(first.ratio, last.ratio),
    seen: said(section, [first, last]),
  };
}

/** Of all that are looked at: one that fails is enough. */
function together(outcomes: Outcome[]): Outcome {
  if (outcomes.every((outcome) => outcome === 'holds')) return 'holds';
  return outcomes.includes('does not hold') ? 'does not hold' : 'undecided';
}

/** More than the baseline. */
function gains({ verdict }: Ratio): Outcome {
  if (verdict === 'better') return 'holds';
  return verdict === 'worse' ? 'does not hold' : 'undecided';
}

const isShort = ({ requestsPerConnection }: Point) => requestsPerConnection === 1;

function judgeGain(
  section: Section,
  axis: Section['axis'],
  which: (point: Point) => boolean,
): Seen | undefined {
  const own = ratiosOf(section).filter(({ point }) => which(point));
  if (section.axis !== axis || own.length === 0) return undefined;
  return {
    outcome: together(own.map(({ ratio }) => gains(ratio))),
    seen: said(section, own),
  };
}

/** One that loses is enough to refute it; all of the paper's must gain to confirm it. */
function judgeAllWorkloads(section: Section): Seen | undefined {
  const judged = judgeGain(section, 'cores', () => true);
  if (!judged) return undefined;
  const measured = ratiosOf(section).map(({ point }) => point.workload);
  const missing = paperWorkloads.filter((workload) => !measured.includes(workload));
  if (missing.length === 0) return judged;
  return {
    outcome: judged.outcome === 'holds' ? 'undecided' : judged.outcome,
    seen: `${judged.seen}; ${listOf(missing)} not measured there`,
  };
}

const paperWorkloads = ['specweb', 'yahoo', 'yahoo/2'];

function judgeBatching(section: Section): Seen | undefined {
  const [accumulation] = accumulations(section);
  const last = section.points.at(-1);
  if (section.axis !== 'requestsPerConnection' || section.facet || !accumulation || !last) return undefined;
  const gain = (added: string) => {
    const step = accumulation.steps.find((one) => one.added === added);
    return step && gainAt(step, last);
  };
  const [batch, partition, lwsocket] = [gain('batch'), gain('partition'), gain('lwsocket')];
  if (!batch || !partition || !lwsocket) return undefined;
  const outcome = together([partition, lwsocket].map((other) => above(boundsOf(batch), boundsOf(other))));
  const [b, p, l] = [batch, partition, lwsocket].map(({ median }) => formatPercent(median));
  return {
    outcome,
    seen: `batching ${b}, partitioning ${p}, lwsockets ${l} at ${pointWords(section, last)}`,
  };
}

function judgeSpeedup(section: Section): Seen | undefined {
  const subject = subjectOf(section);
  const most = mostCores(section);
  const pairs = section.points.flatMap((point) => {
    const own = subject && section.cell(subject.id, point)?.speedup;
    const stock = section.cell('baseline', point)?.speedup;
    return point.cores === most && most > 1 && own && stock ? [{ point, own, stock }] : [];
  });
  if (section.axis !== 'cores' || pairs.length === 0) return undefined;
  const words = pairs.map(
    ({ point, own, stock }) =>
      `${formatRatio(own.median)} against ${formatRatio(stock.median)} at ${pointWords(section, point)}`,
  );
  return {
    outcome: together(pairs.map(({ own, stock }) => above(boundsOf(own), boundsOf(stock)))),
    seen: `a speed-up of ${listOf(words)}`,
  };
}

/** That there is nothing is not shown by an interval that holds 1, but by one that holds little else. */
function judgePersistent(section: Section): Seen | undefined {
  const last = ratiosOf(section).find(({ point }) => point.requestsPerConnection === 'unlimited');
  if (section.axis !== 'requestsPerConnection' || !last || last.point.cores === 1) return undefined;
  const outcomes: Partial<Record<Ratio['verdict'], Outcome>> = { better: 'does not hold', same: 'holds' };
  return { outcome: outcomes[last.ratio.verdict] ?? 'undecided', seen: said(section, [last]) };
}

/** That it does not suffer is shown where it can be no more than a little higher, not where it can be anything. */
function judgeMedian(section: Section): Seen | undefined {
  const subject = subjectOf(section);
  if (section.axis !== 'connections' || !subject) return undefined;
  const all = section.points.flatMap((point) => {
    const ratio = section.cell(subject.id, point)?.ratios.p50Us;
    return ratio ? [{ point, ratio }] : [];
  });
  if (all.length === 0) return undefined;
  const worse = all.filter(({ ratio }) => ratio.verdict === 'worse');
  if (worse.length > 0) return { outcome: 'does not hold', seen: `higher: ${said(section, worse)}` };
  const unclear = all.filter(({ ratio }) => !isSound(ratio) || ratio.high >= 1 + usualRule.margin);
  if (unclear.length === 0) return { outcome: 'holds', seen: said(section, all) };
  return {
    outcome: 'undecided',
    seen: unclear.map((at) => `${said(section, [at])} (${rangeWords(at.ratio)})`).join(', '),
  };
}

function judgeFiles(section: Section): Seen | undefined {
  const all = ratiosOf(section);
  const at = (workload: string) =>
    all.find(({ point }) => point.workload === workload && point.cores === mostCores(section));
  const [half, whole] = [at('yahoo/2'), at('yahoo')];
  if (!half || !whole) return undefined;
  return {
    outcome: aboveInBoth(half.ratio, whole.ratio),
    seen: said(section, [half, whole]),
  };
}
