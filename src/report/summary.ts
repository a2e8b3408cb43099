import type {
  OkSample,
  RequestsPerConnection,
  Results,
  SampleRecord,
  TopologyRecord,
  Variant,
} from '../results.js';
import {
  crossingsPerRequest,
  type Metrics,
  metricsOf,
  operationsPerCrossing,
  saturatedIdle,
  systemCallsPerRequest,
} from './metrics.js';
import { type Estimate, estimate } from './statistics.js';

/** All samples of one variant at one point of one topology. */
export type Cell = {
  variant: Variant;
  requestsPerConnection: RequestsPerConnection;
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
  /** To the baseline of the same round; undefined for the baseline itself. */
  ratios: Record<Compared, Estimate | undefined>;
  /** What kept the throughput from being higher, in most samples. */
  limit: Limit | undefined;
};

export type Limit = 'all CPUs' | 'server' | 'client' | 'nothing';

/** What is compared between variants. */
export const compared = ['throughput', 'serverCpuUs', 'p50Us', 'p99Us'] as const;
export type Compared = (typeof compared)[number];

/** One topology's part of a run. */
export type Section = {
  topology: TopologyRecord;
  variants: Variant[];
  points: RequestsPerConnection[];
  cells: Cell[];
  cell(variant: string, point: RequestsPerConnection): Cell | undefined;
  /** A variant's metrics in each round in which it did not fail. */
  rounds(variant: string, point: RequestsPerConnection): Map<number, Metrics>;
};

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
  const points = unique(
    samples.map((sample) => sample.requestsPerConnection),
    String,
  ).sort(byPoint);
  const at = (id: string, point: RequestsPerConnection) =>
    samples.filter((sample) => sample.variant.id === id && sample.requestsPerConnection === point);
  const rounds = (id: string, point: RequestsPerConnection) => roundsOf(at(id, point), topology);
  const cells = points.flatMap((point) =>
    variants.map((variant) =>
      summarizeCell(variant, point, at(variant.id, point), topology, rounds('baseline', point)),
    ),
  );
  const cell = (id: string, point: RequestsPerConnection) =>
    cells.find((one) => one.variant.id === id && one.requestsPerConnection === point);
  return { topology, variants, points, cells, cell, rounds };
}

function summarizeCell(
  variant: Variant,
  requestsPerConnection: RequestsPerConnection,
  samples: SampleRecord[],
  topology: TopologyRecord,
  baseline: Map<number, Metrics>,
): Cell {
  const rounds = roundsOf(samples, topology);
  const metrics = [...rounds.values()];
  const over = (key: keyof Metrics) => estimate(present(metrics.map((metric) => metric[key])));
  const ratio = (key: Compared) =>
    variant.server === 'baseline' ? undefined : estimate(pairedRatios(rounds, baseline, key));
  const of = (kind: 'timed' | 'traced', value: (sample: OkSample) => number | null) =>
    estimate(present(okSamples(samples, kind).map(value)));
  return {
    variant,
    requestsPerConnection,
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
    ratios: {
      throughput: ratio('throughput'),
      serverCpuUs: ratio('serverCpuUs'),
      p50Us: ratio('p50Us'),
      p99Us: ratio('p99Us'),
    },
    limit: limitOf(metrics, topology),
  };
}

/** Ratios to a rival of the same round, which met the same state of the machine. A round that lacks either is left out. */
export function pairedRatios(
  rounds: Map<number, Metrics>,
  rival: Map<number, Metrics>,
  key: Compared,
): number[] {
  return [...rounds].flatMap(([round, metrics]) => {
    const other = rival.get(round)?.[key];
    return other ? [metrics[key] / other] : [];
  });
}

function roundsOf(samples: SampleRecord[], topology: TopologyRecord): Map<number, Metrics> {
  return new Map(okSamples(samples, 'timed').map((sample) => [sample.round, metricsOf(sample, topology)]));
}

function okSamples(samples: SampleRecord[], kind: 'timed' | 'traced'): OkSample[] {
  return samples.filter((sample) => sample.status === 'ok' && sample.kind === kind) as OkSample[];
}

/** A side whose CPUs have no idle time is the limit; where both sides share them, neither can be told from the other. */
function limitOf(metrics: Metrics[], { sharesCpus }: TopologyRecord): Limit | undefined {
  const idle = (key: 'serverIdle' | 'clientIdle') => estimate(metrics.map((metric) => metric[key]))?.median;
  const [server, client] = [idle('serverIdle'), idle('clientIdle')];
  if (server === undefined || client === undefined) return undefined;
  if (server < saturatedIdle) return sharesCpus ? 'all CPUs' : 'server';
  return !sharesCpus && client < saturatedIdle ? 'client' : 'nothing';
}

/** The baseline first; then by engine, the one with fewer techniques first. */
function byId(a: Variant, b: Variant): number {
  const rank = ({ server, engine, techniques }: Variant) =>
    `${server === 'baseline' ? 0 : 1}${engine === 'kernel' ? 0 : engine === 'uring' ? 1 : 2}${techniques.length}`;
  return rank(a).localeCompare(rank(b));
}

function byPoint(a: RequestsPerConnection, b: RequestsPerConnection): number {
  const rank = (point: RequestsPerConnection) => (point === 'unlimited' ? Number.POSITIVE_INFINITY : point);
  return rank(a) === rank(b) ? 0 : rank(a) - rank(b);
}

function unique<T>(values: T[], key: (value: T) => string): T[] {
  return [...new Map(values.map((value) => [key(value), value])).values()];
}

function present(values: (number | null)[]): number[] {
  return values.filter((value) => value !== null);
}
