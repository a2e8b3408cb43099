import type { ComparedMetric } from '../metrics/log-ratios.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Point, TopologyRecord, Variant } from '../results/schema.js';
import type { Placing } from './points.js';
import type { Ratios } from './ratios.js';
import type { Estimate } from './statistics.js';

// What a report is made of, from a run's samples to what is drawn of them.

/** All samples of one variant at one point of one topology. */
export type Cell = {
  variant: Variant;
  point: Point;
  timed: number;
  failed: number;
  serverCpuUs: Estimate | undefined;
  requestsPerCpuS: Estimate | undefined;
  throughput: Estimate | undefined;
  hostCpuUs: Estimate | undefined;
  softirqShare: Estimate | undefined;
  serverIdle: Estimate | undefined;
  othersShare: Estimate | undefined;
  p50Us: Estimate | undefined;
  p99Us: Estimate | undefined;
  /** From when a request was sent; in an open loop less than the others, which count from when it was to be sent. */
  service99Us: Estimate | undefined;
  /** Open loop: the share of the requests that could not be sent when they were to be. */
  unsentShare: Estimate | undefined;
  /** What the answers carried, in bits a second; only where messages have one size. */
  bandwidth: Estimate | undefined;
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

/** A part of a run that is shown together: what a topology's points show in one view. */
export type Section = Placing & {
  application: string;
  topology: TopologyRecord;
  view: View;
  variants: Variant[];
  points: Point[];
  /** Those that were measured: not every variant is at every point. */
  cells: Cell[];
  cell(variant: string, point: Point): Cell | undefined;
  /** A variant's metrics in each round in which it did not fail. */
  rounds(variant: string, point: Point): Rounds;
};

export type Rounds = Map<number, Metrics>;

/** A part of a topology's points that is shown together: along one axis, all else being usual. */
export type View = Placing & {
  title: string;
  /** The paper's figures and tables that show the same. */
  paper: string | undefined;
  /** What is drawn; all that is usual where this is undefined. */
  figures: readonly FigureName[] | undefined;
  /** What variants are compared in, in words. */
  metrics: readonly ComparedMetric[];
};

/** A view and its points. */
export type Viewed = { view: View; points: Point[] };

export type FigureName =
  | 'serverCpu'
  | 'relativeServerCpu'
  | 'relativeCapacity'
  | 'throughput'
  | 'bandwidth'
  | 'speedup'
  | 'efficiency'
  | 'relative'
  | 'relativeToReuseport'
  | 'relativeP99'
  | 'hostCpu'
  | 'serverBusy'
  | 'systemCalls'
  | 'p50'
  | 'p99'
  | 'service99';
