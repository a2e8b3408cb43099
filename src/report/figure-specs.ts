import type { FigureSpec } from './figures.js';
import { digits, formatCount, formatRatio, formatThroughput, formatUs } from './format.js';
import type { Cell } from './summary.js';

/** The figures of each topology, in the order of the page; those without a value are not drawn. */
export const figureSpecs: readonly FigureSpec[] = [
  {
    title: (axis) => `Throughput (the paper’s Fig. ${axis === 'cores' ? '7' : '5'})`,
    label: 'thousand requests a second',
    value: ({ throughput }) => scaled(throughput, 1 / 1000),
    format: (thousands) => formatThroughput(thousands * 1000),
  },
  {
    title: () => 'Parallel speed-up: throughput, relative to one core (the paper’s Fig. 7)',
    label: 'times one core',
    value: ({ speedup }) => speedup,
    format: formatRatio,
  },
  {
    title: () => 'Throughput, relative to the baseline of the same round',
    label: 'times the baseline',
    value: ({ ratios }) => ratios.throughput,
    format: formatRatio,
    reference: 1,
  },
  {
    title: () => 'Throughput, relative to stock I/O with reuseport of the same round',
    label: 'times reuseport',
    value: ({ ratiosToReuseport }) => ratiosToReuseport.throughput,
    format: formatRatio,
    reference: 1,
  },
  {
    title: () => 'Server CPU time a request',
    label: 'µs, user and system',
    value: ({ serverCpuUs }) => serverCpuUs,
    format: formatUs,
  },
  {
    title: () => 'All work of the server’s CPUs a request, soft interrupts included',
    label: 'µs',
    value: ({ hostCpuUs }) => hostCpuUs,
    format: formatUs,
  },
  {
    title: () => 'System calls of the server a request',
    label: 'system calls, logarithmic',
    logarithmic: true,
    value: ({ systemCalls }) => systemCalls,
    format: formatCount,
  },
  {
    title: () => 'Median latency',
    label: 'ms',
    value: ({ p50Us }) => scaled(p50Us, 1 / 1000),
    format: (ms) => `${digits(ms)} ms`,
  },
  {
    title: () => '99th percentile of latency',
    label: 'ms',
    value: ({ p99Us }) => scaled(p99Us, 1 / 1000),
    format: (ms) => `${digits(ms)} ms`,
  },
];

/** The same estimate in another unit. */
function scaled(estimate: Cell['throughput'], by: number): Cell['throughput'] {
  if (!estimate) return undefined;
  return { ...estimate, median: estimate.median * by, low: estimate.low * by, high: estimate.high * by };
}
