import type { Point, SampleRecord } from '../results/schema.js';
import type { Progress } from './run.js';

/** One line on where a run stands: the sample in hand, the last one's throughput, and how long it will go on. */
export function describeProgress({ order, done, all, failed, leftMs, last }: Progress): string {
  return [
    `${done + 1}${all === undefined ? '' : ` of ${all}`}`,
    `${all === undefined ? 'at most' : 'about'} ${describeTime(leftMs)} left`,
    `${order.variant.id}, ${describePoint(order.point)}${order.kind === 'traced' ? ', traced' : ''}`,
    ...(last ? [`last: ${describeSample(last)}`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ].join(' · ');
}

function describeSample(sample: SampleRecord): string {
  const what = `${sample.variant.id}`;
  if (sample.status === 'failed') return `${what} failed: ${sample.reason}`;
  const thousands = (sample.measured.requests / sample.measured.windowUs) * 1e3;
  return `${what} ${thousands.toFixed(1)}k requests/s`;
}

function describePoint(point: Point): string {
  const { requestsPerConnection: requests, messageBytes, connections, rate } = point;
  return [
    requests === null
      ? point.workload
      : `${requests} ${requests === 1 ? 'request' : 'requests'} a connection`,
    ...(messageBytes === null ? [] : [`${messageBytes} B`]),
    `${point.cores} ${point.cores === 1 ? 'core' : 'cores'}`,
    `${connections} connections`,
    ...(rate === null ? [] : [`${rate} requests/s`]),
  ].join(', ');
}

function describeTime(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 90 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}
