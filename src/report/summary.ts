import type { OkSample, Point, Results, SampleRecord, TopologyRecord, Variant } from '../results.js';
import {
  crossingsPerRequest,
  type Metrics,
  metricsOf,
  operationsPerCrossing,
  saturatedIdle,
  systemCallsPerRequest,
} from './metrics.js';
import { type Axis, axisOf, pointKey, sortPoints } from './points.js';
import { type Estimate, estimate } from './statistics.js';

/** All samples of one variant at one point of one topology. */
export type Cell = {
  variant: Variant;
  point: Point;
  timed: number;
  failed: number;
  throughput: Estimate | undefined;
  serverCpuUs: Estimate | undefined;
  hostCpuUs: Estimate | undefined;
  softirqShare: Estimate | undefined;
  serverIdle: Estimate | undefined;
  othersShare: Estimate | undefined;
  p50Us: Estimate | undefined;
  p99Us: Estimate | undefined;
  /** System calls a request, from traced samples. */
  systemCalls: Estimate | undefined;
  /** Kernel crossings a request, as the server's channels count them. */
  crossings: Estimate | undefined;
  operationsPerCrossing: Estimate | undefined;
  /** Throughput of this many cores to that of one, of the same round and variant; only where cores were varied. */
  speedup: Estimate | undefined;
  /** To the baseline of the same round; undefined for the baseline itself. */
  ratios: Ratios;
  /** To stock I/O with reuseport, where that was measured; undefined for stock I/O. */
  ratiosToReuseport: Ratios;
  /** What kept the throughput from being higher, in most samples. */
  limit: Limit | undefined;
};

export type Limit = 'all CPUs' | 'server' | 'client' | 'nothing';

/** What is compared between variants. */
export const compared = ['throughput', 'serverCpuUs', 'p50Us', 'p99Us'] as const;
export type Compared = (typeof compared)[number];
export type Ratios = Record<Compared, Estimate | undefined>;

/** One topology's part of a run. */
export type Section = {
  topology: TopologyRecord;
  axis: Axis;
  variants: Variant[];
  points: Point[];
  cells: Cell[];
  cell(variant: string, point: Point): Cell | undefined;
  /** A variant's metrics in each round in which it did not fail. */
  rounds(variant: string, point: Point): Rounds;
};

export type Rounds = Map<number, Metrics>;

/** Group a run's samples and estimate. Topologies, variants and points come in the order in which they were measured. */
export function summarize(results: Results): Section[] {
  const measured = results.machine.topologies.filter(({ name }) =>
    results.samples.some(({ topology }) => topology === name),
  );
  return measured.map((topology) =>
    summarizeTopology(
      topology,
      results.samples.filter((sample) => sample.topology === topology.name),
    ),
  );
}

function summarizeTopology(topology: TopologyRecord, samples: SampleRecord[]): Section {
  const variants = unique(
    samples.map(({ variant }) => variant),
    ({ id }) => id,
  ).sort(byId);
  const points = sortPoints(
    unique(
      samples.map((sample) => sample.point),
      pointKey,
    ),
  );
  const groups = groupBy(samples, ({ variant, point }) => `${variant.id} ${pointKey(point)}`);
  const at = (id: string, point: Point) => groups.get(`${id} ${pointKey(point)}`) ?? [];
  const rounds = (id: string, point: Point) => roundsOf(at(id, point), topology);
  const overCores = new Set(points.map(({ cores }) => cores)).size > 1;
  const cells = points.flatMap((point) =>
    variants.map((variant) =>
      summarizeCell(variant, point, at(variant.id, point), {
        topology,
        baseline: rounds('baseline', point),
        reuseport: rounds('reuseport', point),
        oneCore: overCores ? rounds(variant.id, { ...point, cores: 1 }) : new Map(),
      }),
    ),
  );
  const cell = (id: string, point: Point) =>
    cells.find((one) => one.variant.id === id && pointKey(one.point) === pointKey(point));
  return { topology, axis: axisOf(points), variants, points, cells, cell, rounds };
}

/** What a cell is compared with, and where it was measured. */
type Surroundings = { topology: TopologyRecord; baseline: Rounds; reuseport: Rounds; oneCore: Rounds };

function summarizeCell(
  variant: Variant,
  point: Point,
  samples: SampleRecord[],
  { topology, baseline, reuseport, oneCore }: Surroundings,
): Cell {
  const rounds = roundsOf(samples, topology);
  const metrics = [...rounds.values()];
  const over = (key: keyof Metrics) => estimate(present(metrics.map((metric) => metric[key])));
  const of = (kind: 'timed' | 'traced', value: (sample: OkSample) => number | null) =>
    estimate(present(okSamples(samples, kind).map(value)));
  return {
    variant,
    point,
    timed: samples.filter(({ kind }) => kind === 'timed').length,
    failed: samples.filter(({ kind, status }) => kind === 'timed' && status === 'failed').length,
    throughput: over('throughput'),
    serverCpuUs: over('serverCpuUs'),
    hostCpuUs: over('hostCpuUs'),
    softirqShare: over('softirqShare'),
    serverIdle: over('serverIdle'),
    othersShare: over('othersShare'),
    p50Us: over('p50Us'),
    p99Us: over('p99Us'),
    systemCalls: of('traced', systemCallsPerRequest),
    crossings: of('timed', crossingsPerRequest),
    operationsPerCrossing: of('timed', operationsPerCrossing),
    speedup: estimate(pairedRatios(rounds, oneCore, 'throughput')),
    ratios: ratiosTo(variant.id === 'baseline' ? undefined : baseline, rounds),
    ratiosToReuseport: ratiosTo(variant.server === 'baseline' ? undefined : reuseport, rounds),
    limit: limitOf(metrics, topology),
  };
}

function ratiosTo(rival: Rounds | undefined, rounds: Rounds): Ratios {
  const ratio = (key: Compared) => (rival ? estimate(pairedRatios(rounds, rival, key)) : undefined);
  return {
    throughput: ratio('throughput'),
    serverCpuUs: ratio('serverCpuUs'),
    p50Us: ratio('p50Us'),
    p99Us: ratio('p99Us'),
  };
}

/** Ratios to a rival of the same round, which met the same state of the machine. A round that lacks either is left out. */
export function pairedRatios(rounds: Rounds, rival: Rounds, key: Compared): number[] {
  return [...rounds].flatMap(([round, metrics]) => {
    const other = rival.get(round)?.[key];
    return other ? [metrics[key] / other] : [];
  });
}

function roundsOf(samples: SampleRecord[], topology: TopologyRecord): Rounds {
  return new Map(okSamples(samples, 'timed').map((sample) => [sample.round, metricsOf(sample, topology)]));
}

function okSamples(samples: SampleRecord[], kind: 'timed' | 'traced'): OkSample[] {
  return samples.filter((sample) => sample.status === 'ok' && sample.kind === kind) as OkSample[];
}

/**
 * A side whose CPUs have no idle time is the limit. Where both sides share all CPUs, neither can be told from the other;
 * a server that has some of the clients' CPUs is the limit where those are used up.
 */
function limitOf(metrics: Metrics[], { sharesCpus }: TopologyRecord): Limit | undefined {
  const idle = (key: 'serverIdle' | 'clientIdle') => estimate(metrics.map((metric) => metric[key]))?.median;
  const [server, client] = [idle('serverIdle'), idle('clientIdle')];
  if (server === undefined || client === undefined) return undefined;
  if (sharesCpus && client < saturatedIdle) return 'all CPUs';
  if (server < saturatedIdle) return 'server';
  return !sharesCpus && client < saturatedIdle ? 'client' : 'nothing';
}

/** Stock I/O first, the baseline before its rivals; then by engine, the one with fewer techniques first. */
function byId(a: Variant, b: Variant): number {
  const rank = ({ server, reuseport, engine, techniques }: Variant) =>
    server === 'baseline'
      ? `0${reuseport ? 1 : 0}`
      : `1${engine === 'kernel' ? 0 : engine === 'uring' ? 1 : 2}${techniques.length}`;
  return rank(a).localeCompare(rank(b));
}

function groupBy<T>(values: T[], key: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) groups.set(key(value), [...(groups.get(key(value)) ?? []), value]);
  return groups;
}

function unique<T>(values: T[], key: (value: T) => string): T[] {
  return [...new Map(values.map((value) => [key(value), value])).values()];
}

function present(values: (number | null)[]): number[] {
  return values.filter((value) => value !== null);
}
