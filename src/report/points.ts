import type { Point } from '../results/schema.js';

/** What points may differ in. */
export type Field = keyof Point;

/** What a figure's x axis can be. */
export type Axis = Exclude<Field, 'workload'>;

/** How the points of a section are told apart: by the x axis of its figures, and by their panels where there are some. */
export type Placing = { axis: Axis; facet: Field | undefined };

type Words = {
  /** Over a column. */
  heading: string;
  /** Under an axis. */
  axis: string;
  /** On an axis, as short as can be. */
  label(point: Point): string;
  /** In a table or over a panel. */
  phrase(point: Point): string;
  /** In a sentence. */
  clause(point: Point): string;
};

const words: Record<Field, Words> = {
  workload: {
    heading: 'Workload',
    axis: 'workload',
    label: ({ workload }) => workload,
    phrase: ({ workload }) => workload,
    clause: ({ workload }) => `for ${workload}`,
  },
  requestsPerConnection: {
    heading: 'Requests a connection',
    axis: 'requests per connection',
    label: ({ requestsPerConnection: n }) => (n === 'unlimited' ? '∞' : String(n)),
    phrase: ({ requestsPerConnection }) => lengthWords(requestsPerConnection),
    clause: ({ requestsPerConnection }) => `at ${lengthWords(requestsPerConnection)}`,
  },
  messageBytes: {
    heading: 'Size of messages',
    axis: 'size of messages, bytes',
    label: ({ messageBytes }) => sizeOf(messageBytes ?? 0, ['', ' Ki', ' Mi']),
    phrase: ({ messageBytes }) => sizeOf(messageBytes ?? 0, byteUnits),
    clause: ({ messageBytes }) => `at ${sizeOf(messageBytes ?? 0, byteUnits)}`,
  },
  cores: {
    heading: 'Cores',
    axis: 'cores of the server',
    label: ({ cores }) => String(cores),
    phrase: ({ cores }) => coresWords(cores),
    clause: ({ cores }) => `on ${coresWords(cores)}`,
  },
  connections: {
    heading: 'Connections',
    axis: 'connections at a time',
    label: ({ connections }) => String(connections),
    phrase: ({ connections }) => connectionsWords(connections),
    clause: ({ connections }) => `with ${connectionsWords(connections)}`,
  },
  rate: {
    heading: 'Load',
    axis: 'requests a second, open loop',
    label: ({ rate }) => (rate === null ? 'closed' : String(rate)),
    phrase: ({ rate }) => (rate === null ? 'closed loop' : `open loop, ${rate} requests/s`),
    clause: ({ rate }) => (rate === null ? 'in a closed loop' : `in an open loop of ${rate} requests/s`),
  },
};

const byteUnits: Units = [' B', ' KiB', ' MiB'];
type Units = [string, string, string];

const lengthWords = (n: Point['requestsPerConnection']) =>
  `${n} ${n === 1 ? 'request' : 'requests'} a connection`;
const connectionsWords = (n: number) => `${n} ${n === 1 ? 'connection' : 'connections'}`;

function sizeOf(bytes: number, units: Units): string {
  const step = bytes < 1024 ? 0 : bytes < 2 ** 20 ? 1 : 2;
  return `${Math.round(bytes / 1024 ** step)}${units[step]}`;
}

export const coresWords = (cores: number) => (cores === 1 ? '1 core' : `${cores} cores`);

/** The same work, on whatever number of cores. */
export const sameLoad = (a: Point, b: Point) =>
  fields.every((field) => field === 'cores' || a[field] === b[field]);

const fields = Object.keys(words) as Field[];

/** Those that differ between points. */
export function varyingFields(points: Point[]): Field[] {
  return fields.filter((field) => new Set(points.map((point) => point[field])).size > 1);
}

/** By workload in the order of the plan, then upwards. */
export function sortPoints(points: Point[]): Point[] {
  const workloads = [...new Set(points.map(({ workload }) => workload))];
  const number = (value: number | 'unlimited' | null) =>
    value === 'unlimited' ? Number.MAX_SAFE_INTEGER : (value ?? 0);
  const rank = (point: Point) => [
    workloads.indexOf(point.workload),
    number(point.rate),
    number(point.messageBytes),
    point.cores,
    number(point.requestsPerConnection),
    point.connections,
  ];
  const compare = (a: number[], b: number[]) =>
    a.reduce((order, value, index) => order || value - (b[index] ?? 0), 0);
  return [...points].sort((a, b) => compare(rank(a), rank(b)));
}

/** On the x axis, as the paper labels its own. */
export const pointLabel = ({ axis }: Placing, point: Point) => words[axis].label(point);

/** All of an x axis, upwards. */
export function axisLabels(placing: Placing, points: Point[]): string[] {
  const value = (point: Point) => {
    const own = point[placing.axis];
    return own === 'unlimited' ? Number.MAX_VALUE : (own ?? 0);
  };
  const upwards = [...points].sort((a, b) => value(a) - value(b));
  return [...new Set(upwards.map((point) => pointLabel(placing, point)))];
}

/** Over the panel that a point is in; the empty string where there is one panel. */
export const panelLabel = ({ facet }: Placing, point: Point) => (facet ? words[facet].phrase(point) : '');

/** Under the x axis. */
export const axisLabel = ({ axis }: Placing) => words[axis].axis;

/** In a table: `10`, `specweb, 2 cores`, and what else differs between the points that are placed so. */
export function pointWords(placing: Placing, point: Point, all: Point[] = []): string {
  const { axis, facet } = placing;
  const others = varyingFields(all).filter((field) => field !== axis && field !== facet);
  const told = [...(facet ? [facet] : []), axis, ...others];
  if (told.length === 1 && axis === 'requestsPerConnection') return String(point.requestsPerConnection);
  return told.map((field) => words[field].phrase(point)).join(', ');
}

/** As short as can be, to tell it from an application's other points. */
export function shortWords(point: Point, all: Point[]): string {
  const [field = 'workload', ...others] = varyingFields(all);
  return others.length > 0
    ? [field, ...others].map((one) => words[one].phrase(point)).join(', ')
    : words[field].label(point);
}

/** What the numbers of `shortWords` are, where it gives mere numbers. */
export function axisHint(all: Point[]): string | undefined {
  const [field, ...others] = varyingFields(all);
  return field === undefined || field === 'workload' || others.length > 0 ? undefined : words[field].axis;
}

/** As a reader without context needs it, to tell it from an application's other points. */
export function wordsAmong(point: Point, all: Point[]): string {
  const varying = varyingFields(all);
  return (varying.length > 0 ? varying : (['workload'] as const))
    .map((field) => words[field].phrase(point))
    .join(', ');
}

/** All that is known of it. */
export const pointInFull = (point: Point) => commonWords(point, []);

/** What is said of a point but for these fields. */
export function commonWords(point: Point, without: Field[]): string {
  const known = fields.filter((field) => !without.includes(field) && point[field] !== null);
  return known.map((field) => words[field].phrase(point)).join(', ');
}

/** The heading over a column of such words. */
export const pointHeading = ({ axis, facet }: Placing) => words[facet ?? axis].heading;

/** How points are told apart in a sentence, and what is said once for all of them. */
export function placeInSentence(
  { axis, facet }: Placing,
  points: Point[],
): { at: (point: Point) => string; unit: string } {
  const say = (field: Field) => words[field].clause;
  const varying = varyingFields(points);
  const [first] = points;
  if (!first || !facet) return alongAxis(axis, points);
  if (!varying.includes(axis)) return { at: say(facet), unit: ` ${say(axis)(first)}` };
  if (!varying.includes(facet)) {
    const { at, unit } = alongAxis(axis, points);
    return { at, unit: `${unit} ${say(facet)(first)}` };
  }
  return { at: (point) => `${say(facet)(point)} ${say(axis)(point)}`, unit: '' };
}

/** Of requests a connection the unit is said once. */
function alongAxis(axis: Axis, points: Point[]): { at: (point: Point) => string; unit: string } {
  if (axis !== 'requestsPerConnection') return { at: words[axis].clause, unit: '' };
  const lone = points.length === 1 && points[0]?.requestsPerConnection === 1;
  return {
    at: ({ requestsPerConnection }) => `at ${requestsPerConnection}`,
    unit: lone ? ' request a connection' : ' requests a connection',
  };
}
