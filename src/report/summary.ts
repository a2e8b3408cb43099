import { againId, roundsOf } from '../metrics/log-ratios.js';
import {
  crossingsPerRequest,
  type Metrics,
  operationsPerCrossing,
  saturatedIdle,
  systemCallsPerRequest,
} from '../metrics/metrics.js';
import {
  type OkSample,
  type Point,
  pointKey,
  type Results,
  type SampleRecord,
  type TopologyRecord,
  type Variant,
} from '../results/schema.js';
import type { Cell, Limit, Rounds, Section, Viewed } from './model.js';
import { sortPoints } from './points.js';
import { ratiosTo } from './ratios.js';
import { estimate } from './statistics.js';
import { inOrder } from './variants.js';
import { viewsOf } from './views.js';

/** Group a run's samples and estimate. Topologies and variants come in the order in which they were measured. */
export function summarize(results: Results): Section[] {
  return results.machine.topologies.flatMap((topology) => {
    const samples = results.samples.filter((sample) => sample.topology === topology.name);
    const points = sortPoints(
      unique(
        samples.map(({ point }) => point),
        pointKey,
      ),
    );
    const { application } = results.machine.workload;
    const viewed = points.length > 0 ? viewsOf(application, points) : [];
    return viewed.map((one) => ({ application, ...summarizeView(topology, one, samples) }));
  });
}

function summarizeView(
  topology: TopologyRecord,
  { view, points }: Viewed,
  ofTopology: SampleRecord[],
): Omit<Section, 'application'> {
  const keys = new Set(points.map(pointKey));
  const samples = ofTopology.filter(({ point }) => keys.has(pointKey(point)));
  // The baseline once more is there to tell the machine's noise, not to be compared.
  const variants = alongAxis(samples.filter(({ variant }) => variant.id !== againId)).sort(inOrder);
  const groups = groupBy(samples, ({ variant, point }) => `${variant.id} ${pointKey(point)}`);
  const at = (id: string, point: Point) => groups.get(`${id} ${pointKey(point)}`) ?? [];
  const rounds = (id: string, point: Point) => roundsOf(at(id, point), topology);
  const overCores = new Set(points.map(({ cores }) => cores)).size > 1;
  const cells = points.flatMap((point) =>
    variants
      .filter(({ id }) => at(id, point).length > 0)
      .map((variant) =>
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
  return { topology, view, axis: view.axis, facet: view.facet, variants, points, cells, cell, rounds };
}

/** The variants of a view: of those that are at a single point, where others are at several, it shows nothing. */
function alongAxis(samples: SampleRecord[]): Variant[] {
  const all = unique(
    samples.map(({ variant }) => variant),
    ({ id }) => id,
  );
  const pointsOf = (id: string) =>
    new Set(samples.filter(({ variant }) => variant.id === id).map(({ point }) => pointKey(point))).size;
  const several = all.filter(({ id }) => pointsOf(id) > 1);
  return several.length > 0 ? several : all;
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
  const over = (key: Exclude<keyof Metrics, 'disturbed'>) =>
    estimate(present(metrics.map((metric) => metric[key])));
  const of = (kind: 'timed' | 'traced', value: (sample: OkSample) => number | null) =>
    estimate(present(okSamples(samples, kind).map(value)));
  return {
    variant,
    point,
    timed: samples.filter(({ kind }) => kind === 'timed').length,
    failed: samples.filter(({ kind, status }) => kind === 'timed' && status === 'failed').length,
    serverCpuUs: over('serverCpuUs'),
    requestsPerCpuS: over('requestsPerCpuS'),
    throughput: over('throughput'),
    hostCpuUs: over('hostCpuUs'),
    softirqShare: over('softirqShare'),
    serverIdle: over('serverIdle'),
    othersShare: over('othersShare'),
    p50Us: over('p50Us'),
    p99Us: over('p99Us'),
    service99Us: over('service99Us'),
    unsentShare: over('unsentShare'),
    bandwidth: over('bandwidth'),
    systemCalls: of('traced', systemCallsPerRequest),
    crossings: of('timed', crossingsPerRequest),
    operationsPerCrossing: of('timed', operationsPerCrossing),
    speedup: estimate(speedups(rounds, oneCore)),
    ratios: ratiosTo(variant.id === 'baseline' ? undefined : baseline, rounds),
    ratiosToReuseport: ratiosTo(variant.server === 'baseline' ? undefined : reuseport, rounds),
    limit: limitOf(metrics, topology),
  };
}

/** Of the same round, which met the same state of the machine. */
function speedups(rounds: Rounds, oneCore: Rounds): number[] {
  return [...rounds].flatMap(([round, { throughput }]) => {
    const alone = oneCore.get(round)?.throughput;
    return alone ? [throughput / alone] : [];
  });
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
