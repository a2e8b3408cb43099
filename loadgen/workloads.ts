import { probit } from 'simple-statistics';
import { type PerConnection, zipfMandelbrot } from './per-connection.js';

/** Files and how they are asked for. Everything about it is fixed, so that a name says it all. */
export type Workload = {
  name: WorkloadName;
  /** The folder of its files, below the file sets' folder and the server's root. */
  folder: string;
  perConnection: PerConnection;
  /** Of each file its bytes, and how often it is asked for among workloadRequests. */
  sizes: Uint32Array;
  requests: Uint32Array;
};

export const workloadNames = ['specweb', 'yahoo', 'yahoo/2'] as const;
export type WorkloadName = (typeof workloadNames)[number];

/** Requests until a workload repeats itself; even the rarest file is among them. */
export const workloadRequests = 2 ** 20;

/** Parameters of the log-normal distributions, and the tail's share of requests, solved for the paper's figures. */
const SPECWEB_MU = 6.0758311572;
const YAHOO_MU = 7.9007345612;
const TAIL_SHARE = 0.0209;

const KiB = 1024;
const MiB = 1024 * KiB;

/** Sizes at the middles of n equal shares of a log-normal distribution, clamped; both ends are reached. */
function logNormalSizes(n: number, mu: number, sigma: number, [low, high]: [number, number]): number[] {
  const sizes = Array.from({ length: n }, (_, i) => Math.round(Math.exp(mu + sigma * probit((i + 0.5) / n))));
  const clamped = sizes.map((size) => Math.min(high, Math.max(low, size)));
  return [low, ...clamped.slice(1, -1), high];
}

/**
 * The paper's SpecWeb (after Affinity-Accept): six requests a connection, 30 to 5,670 bytes, 704 on average. The
 * distribution between is ours: log-normal, all files equally popular.
 */
function specweb(): Workload {
  const files = 256;
  const sizes = logNormalSizes(files, SPECWEB_MU, 1, [30, 5670]);
  return {
    name: 'specweb',
    folder: 'specweb',
    perConnection: { kind: 'fixed', requests: 6 },
    sizes: Uint32Array.from(sizes),
    requests: new Uint32Array(files).fill(workloadRequests / files),
  };
}

const largestYahoo = 253 * MiB;
const leastOfTail = 60 * KiB;

/** From 253 MiB down to 60 KiB: halves, and below 8 MiB by the fourth root of 2. All of them are 540 MiB. */
function tailSizes(): number[] {
  const sizes = Array.from({ length: 6 }, (_, k) => largestYahoo / 2 ** k);
  let size = (sizes.at(-1) ?? 0) / 2 ** 0.25;
  for (; size > leastOfTail; size /= 2 ** 0.25) sizes.push(size);
  return sizes.map(Math.round);
}

/** How often each size of the tail is asked for: a Pareto distribution bounded by 60 KiB and 253 MiB. */
function tailRequests(sizes: number[]): number[] {
  const alpha = 1.2;
  const beyond = (size: number) =>
    (size ** -alpha - largestYahoo ** -alpha) / (leastOfTail ** -alpha - largestYahoo ** -alpha);
  const bounds = [
    largestYahoo,
    ...sizes.slice(1).map((size, i) => Math.sqrt(size * (sizes[i] ?? 0))),
    leastOfTail,
  ];
  const shares = sizes.map((_, i) => beyond(bounds[i + 1] ?? 0) - beyond(bounds[i] ?? 0));
  return shares.map((share) => Math.max(1, Math.round(workloadRequests * TAIL_SHARE * share)));
}

/**
 * The paper's Yahoo, from a CDN's trace: 1 to 1,597 requests a connection, 2.3 on average, ten or less in 98 %;
 * 1 byte to 253 MiB, 12.5 KiB on average, half the bytes in answers over 60 KiB. What fits these: Mandelbrot's law;
 * a log-normal body of 1,000 files and a Pareto tail of 34.
 */
function yahoo(): Workload {
  const files = 1000;
  const tail = tailSizes();
  const often = tailRequests(tail);
  const body = logNormalSizes(files, YAHOO_MU, 1.4, [1, leastOfTail - 1]);
  const left = workloadRequests - often.reduce((a, b) => a + b, 0);
  const requests = body.map((_, i) => Math.floor(((i + 1) * left) / files) - Math.floor((i * left) / files));
  return {
    name: 'yahoo',
    folder: 'yahoo',
    perConnection: zipfMandelbrot(-0.3867100689, 2.1, 1597),
    sizes: Uint32Array.from([...body, ...tail]),
    requests: Uint32Array.from([...requests, ...often]),
  };
}

/** The paper's Yahoo/2: the same with all sizes halved. */
function yahooHalf(): Workload {
  const whole = yahoo();
  return {
    ...whole,
    name: 'yahoo/2',
    folder: 'yahoo-2',
    sizes: whole.sizes.map((size) => Math.ceil(size / 2)),
  };
}

const makers: Record<WorkloadName, () => Workload> = { specweb, yahoo, 'yahoo/2': yahooHalf };

/** A workload by its name. */
export function workload(name: WorkloadName): Workload {
  return makers[name]();
}
