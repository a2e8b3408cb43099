import { digits, formatCount, formatRatio, formatShare, formatThroughput, formatUs } from './format.js';
import type { Cell, FigureName } from './model.js';
import { drawn } from './ratios.js';
import type { Estimate } from './statistics.js';

/** What a figure shows of each cell. */
export type FigureSpec = {
  name: FigureName;
  title: string;
  /** The y axis, with its unit. */
  label: string;
  value(cell: Cell): Estimate | undefined;
  /** For the text that appears over a point. */
  format(value: number): string;
  /** A horizontal line that means "no difference". */
  reference?: number;
  logarithmic?: boolean;
};

/** All figures, in the order of the page; those without a value are not drawn. */
export const figureSpecs: readonly FigureSpec[] = [
  {
    name: 'serverCpu',
    title: 'Server CPU time a request',
    label: 'µs, user and system',
    value: ({ serverCpuUs }) => serverCpuUs,
    format: formatUs,
  },
  {
    name: 'relativeServerCpu',
    title: 'Server CPU time a request, relative to the baseline of the same round',
    label: 'times the baseline',
    value: ({ ratios }) => drawn(ratios.serverCpuUs),
    format: formatRatio,
    reference: 1,
  },
  {
    name: 'relativeCapacity',
    title: 'Requests per CPU-second of both sides, relative to the baseline of the same round',
    label: 'times the baseline',
    value: ({ ratios }) => drawn(ratios.requestsPerCpuS),
    format: formatRatio,
    reference: 1,
  },
  {
    name: 'throughput',
    title: 'Throughput',
    label: 'thousand requests a second',
    value: ({ throughput }) => scaled(throughput, 1 / 1000),
    format: (thousands) => formatThroughput(thousands * 1000),
  },
  {
    name: 'bandwidth',
    title: 'What the answers carry',
    label: 'Gb/s',
    value: ({ bandwidth }) => scaled(bandwidth, 1e-9),
    format: (gigabits) => `${digits(gigabits)} Gb/s`,
  },
  {
    name: 'speedup',
    title: 'Parallel speed-up: throughput, relative to one core',
    label: 'times one core',
    value: ({ speedup }) => speedup,
    format: formatRatio,
  },
  {
    name: 'efficiency',
    title: 'Efficiency: throughput of a core, relative to one core alone',
    label: 'share of perfect scaling',
    value: ({ speedup, point }) => scaled(speedup, 1 / point.cores),
    format: formatShare,
  },
  {
    name: 'relative',
    title: 'Throughput, relative to the baseline of the same round',
    label: 'times the baseline',
    value: ({ ratios }) => drawn(ratios.throughput),
    format: formatRatio,
    reference: 1,
  },
  {
    name: 'relativeToReuseport',
    title: 'Throughput, relative to stock I/O with reuseport of the same round',
    label: 'times reuseport',
    value: ({ ratiosToReuseport }) => drawn(ratiosToReuseport.throughput),
    format: formatRatio,
    reference: 1,
  },
  {
    name: 'hostCpu',
    title: 'All work of the server’s CPUs a request, soft interrupts included',
    label: 'µs',
    value: ({ hostCpuUs }) => hostCpuUs,
    format: formatUs,
  },
  {
    name: 'serverBusy',
    title: 'How busy the server’s CPUs were',
    label: 'share of the time',
    value: ({ serverIdle }) =>
      serverIdle && {
        ...serverIdle,
        median: 1 - serverIdle.median,
        low: 1 - serverIdle.high,
        high: 1 - serverIdle.low,
      },
    format: formatShare,
  },
  {
    name: 'systemCalls',
    title: 'System calls of the server a request',
    label: 'system calls, logarithmic',
    logarithmic: true,
    value: ({ systemCalls }) => systemCalls,
    format: formatCount,
  },
  {
    name: 'p50',
    title: 'Median latency',
    label: 'ms',
    value: ({ p50Us }) => scaled(p50Us, 1 / 1000),
    format: (ms) => `${digits(ms)} ms`,
  },
  {
    name: 'p99',
    title: '99th percentile of latency',
    label: 'ms',
    value: ({ p99Us }) => scaled(p99Us, 1 / 1000),
    format: (ms) => `${digits(ms)} ms`,
  },
  {
    name: 'service99',
    title: '99th percentile of latency, from when a request was sent',
    label: 'ms',
    // In a closed loop it is the other one.
    value: ({ service99Us, point }) => (point.rate === null ? undefined : scaled(service99Us, 1 / 1000)),
    format: (ms) => `${digits(ms)} ms`,
  },
  {
    name: 'relativeP99',
    title: '99th percentile of latency, relative to the baseline of the same round',
    label: 'times the baseline',
    value: ({ ratios }) => drawn(ratios.p99Us),
    format: formatRatio,
    reference: 1,
  },
];

/** Those that a view has where it does not say which. */
export const usualFigures: readonly FigureName[] = [
  'serverCpu',
  'relativeCapacity',
  'throughput',
  'speedup',
  'relative',
  'relativeToReuseport',
  'hostCpu',
  'systemCalls',
  'p50',
  'p99',
];

/** The same estimate in another unit. */
function scaled(estimate: Estimate | undefined, by: number): Estimate | undefined {
  if (!estimate) return undefined;
  return { ...estimate, median: estimate.median * by, low: estimate.low * by, high: estimate.high * by };
}
