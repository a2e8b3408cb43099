import type { Point } from '../results/schema.js';
import type { View, Viewed } from './model.js';
import { type Axis, type Field, varyingFields } from './points.js';

const overLength: View = {
  title: 'Requests a connection',
  axis: 'requestsPerConnection',
  facet: undefined,
  paper: undefined,
  figures: undefined,
  metrics: ['serverCpuUs', 'requestsPerCpuS', 'throughput', 'p99Us'],
};

const overCores: View = {
  title: 'Cores',
  axis: 'cores',
  facet: 'requestsPerConnection',
  paper: undefined,
  figures: ['throughput', 'speedup', 'efficiency', 'relative', 'serverCpu'],
  metrics: ['serverCpuUs', 'requestsPerCpuS', 'throughput'],
};

const overSizes: View = {
  ...overLength,
  title: 'Size of messages',
  axis: 'messageBytes',
  figures: ['throughput', 'bandwidth', 'serverBusy', 'relative', 'serverCpu'],
};

const overWorkloads: View = { ...overCores, title: 'Workloads', facet: 'workload', figures: undefined };

const latencyFigures = ['p50', 'p99', 'service99', 'throughput', 'relativeP99'] as const;

/** What an application's results are shown as. */
const views: Record<string, View[]> = {
  echo: [
    { ...overLength, paper: 'Fig. 1a and Table 3' },
    { ...overSizes, paper: 'Fig. 1b' },
    { ...overCores, paper: 'Fig. 1c and Fig. 3' },
    {
      ...overCores,
      title: 'Size of messages on cores',
      facet: 'messageBytes',
      paper: 'Fig. 4',
      figures: ['relative'],
    },
  ],
  memcached: [
    { ...overLength, paper: 'Fig. 5' },
    {
      title: 'Latency over persistent connections',
      axis: 'connections',
      facet: 'rate',
      paper: 'Fig. 6',
      figures: latencyFigures,
      // An open loop sends what it is told to, whoever answers.
      metrics: ['serverCpuUs', 'p50Us', 'p99Us'],
    },
    overCores,
  ],
  nginx: [{ ...overWorkloads, paper: 'Fig. 7' }],
};

/**
 * Part a topology's points into views. What is usual is what most points have; of cores it is the most. Points that no
 * view shows, as somebody's own choice may have them, get one of their own.
 */
export function viewsOf(application: string, points: Point[]): Viewed[] {
  const usual = usualOf(points);
  const own = views[application] ?? viewsOfOthers(points);
  const candidates = own.map((view) => ({ view, points: inLines(view, pointsOf(view, points, usual)) }));
  const [main, ...more] = candidates.filter(varies).filter(isNew);
  const shown = main ? [main, ...more] : candidates.slice(0, 1);
  const whole = shown.map((one) => withLone(one, pointsOf(one.view, unseen(points, shown), usual), points));
  const others = unseen(points, whole);
  return others.length > 0 ? [...whole, otherPoints(others)] : whole;
}

/** A port of others: it is loaded as one of these is. */
function viewsOfOthers(points: Point[]): View[] {
  const ofWorkloads = points.every(({ requestsPerConnection }) => requestsPerConnection === null);
  return ofWorkloads ? [overWorkloads] : [overLength, overSizes, overCores];
}

const unseen = (points: Point[], shown: Viewed[]) =>
  points.filter((point) => !shown.some((one) => one.points.includes(point)));

/** Those that are usual in all but what the view is about. */
function pointsOf({ axis, facet }: View, points: Point[], usual: Partial<Point>): Point[] {
  const fixed = (Object.keys(usual) as Field[]).filter((field) => field !== axis && field !== facet);
  return points.filter((point) => fixed.every((field) => point[field] === usual[field]));
}

/** A panel with a single point shows little: it is left out, unless all are like that. */
function inLines({ axis, facet }: View, points: Point[]): Point[] {
  const inLine = points.filter((point) =>
    points.some((other) => other[axis] !== point[axis] && (!facet || other[facet] === point[facet])),
  );
  return inLine.length > 0 ? inLine : points;
}

/** But where nobody else shows such a point, its place is here. */
function withLone({ view, points }: Viewed, lone: Point[], inOrder: Point[]): Viewed {
  return { view, points: inOrder.filter((point) => points.includes(point) || lone.includes(point)) };
}

/** Panels of a single kind may be another view's too. */
function isNew({ view, points }: Viewed, index: number, all: Viewed[]): boolean {
  const { axis, facet } = view;
  const lone = facet !== undefined && new Set(points.map((point) => point[facet])).size === 1;
  const before = all.slice(0, index).filter((other) => other.view.axis === axis);
  return !lone || !before.some((other) => points.every((point) => other.points.includes(point)));
}

const varies = ({ view, points }: Viewed) => new Set(points.map((point) => point[view.axis])).size > 1;

function otherPoints(points: Point[]): Viewed {
  const [first = 'requestsPerConnection', second] = varyingFields(points).filter(
    (field) => field !== 'workload',
  );
  const view: View = {
    ...overLength,
    title: 'Other points',
    axis: first as Axis,
    facet: second,
    figures: undefined,
  };
  return { view, points };
}

function usualOf(points: Point[]): Partial<Point> {
  const fields = Object.keys(points[0] ?? {}) as Field[];
  const usual = fields.map((field) => [field, mostFrequent(points.map((point) => point[field]))]);
  return { ...Object.fromEntries(usual), cores: Math.max(...points.map(({ cores }) => cores)) };
}

function mostFrequent<T>(values: T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return [...counts].find(([, count]) => count === most)?.[0];
}
