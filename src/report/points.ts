import type { Point } from '../results.js';

/** Points come from records, each with objects of its own: the same point has the same key. */
export const pointKey = ({ workload, requestsPerConnection, cores }: Point) =>
  `${workload} ${requestsPerConnection} ${cores}`;

/** What the x axis of a run's figures is: what its points differ in. */
export type Axis = 'requestsPerConnection' | 'cores';

export const axisOf = ([first]: Point[]): Axis =>
  first?.requestsPerConnection === null ? 'cores' : 'requestsPerConnection';

/** The same work, on whatever number of cores. */
export const sameLoad = (a: Point, b: Point) =>
  a.workload === b.workload && a.requestsPerConnection === b.requestsPerConnection;

/** By workload in the order of the plan, then upwards. */
export function sortPoints(points: Point[]): Point[] {
  const workloads = [...new Set(points.map(({ workload }) => workload))];
  const rank = ({ workload, cores, requestsPerConnection: requests }: Point) =>
    [
      workloads.indexOf(workload),
      cores,
      requests === 'unlimited' ? Number.MAX_SAFE_INTEGER : (requests ?? 0),
    ] as const;
  const compare = (a: readonly number[], b: readonly number[]) =>
    a.reduce((order, value, index) => order || value - (b[index] ?? 0), 0);
  return [...points].sort((a, b) => compare(rank(a), rank(b)));
}

/** On the x axis, as the paper labels its own. */
export function pointLabel({ requestsPerConnection, cores }: Point): string {
  if (requestsPerConnection === null) return String(cores);
  return requestsPerConnection === 'unlimited' ? '∞' : String(requestsPerConnection);
}

/** In a table: `10`, `specweb, 2 cores`. */
export function pointWords({ workload, requestsPerConnection, cores }: Point): string {
  if (requestsPerConnection !== null) return String(requestsPerConnection);
  return `${workload}, ${coresWords(cores)}`;
}

export const coresWords = (cores: number) => (cores === 1 ? '1 core' : `${cores} cores`);

/** The heading over a column of such words. */
export const pointHeading: Record<Axis, string> = {
  requestsPerConnection: 'Requests a connection',
  cores: 'Workload',
};
