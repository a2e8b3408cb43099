import { stringify } from 'csv-stringify/sync';
import {
  crossingsPerRequest,
  metricsOf,
  remoteWakeUpsPer1000,
  systemCallsPerRequest,
} from '../metrics/metrics.js';
import type { OkSample, Results, SampleRecord, TopologyRecord } from '../results/schema.js';

const columns = [
  'started_at',
  'application',
  'topology',
  'variant',
  'workload',
  'requests_per_connection',
  'message_bytes',
  'cores',
  'connections',
  'rate',
  'round',
  'kind',
  'status',
  'requests_per_s',
  'server_cpu_us_per_request',
  'host_cpu_us_per_request',
  'softirq_share',
  'server_idle',
  'client_idle',
  'p50_us',
  'p99_us',
  'service_p99_us',
  'unsent_share',
  'system_calls_per_request',
  'crossings_per_request',
  'remote_wake_ups_per_1000_requests',
  'reason',
] as const;

type Row = Partial<Record<(typeof columns)[number], string | number | null>>;

/** Every sample as a line, failed ones too, for whoever wants to compute for himself. */
export function formatCsv(runs: Results[]): string {
  const rows = runs.flatMap(({ machine, samples }) =>
    samples.map((sample) => ({
      application: machine.workload.application,
      ...headOf(sample),
      ...bodyOf(sample, machine.topologies),
    })),
  );
  return stringify(rows, { header: true, columns: [...columns] });
}

function headOf(sample: SampleRecord): Row {
  return {
    started_at: sample.startedAt,
    topology: sample.topology,
    variant: sample.variant.id,
    workload: sample.point.workload,
    requests_per_connection: sample.point.requestsPerConnection,
    message_bytes: sample.point.messageBytes,
    cores: sample.point.cores,
    connections: sample.point.connections,
    rate: sample.point.rate,
    round: sample.round,
    kind: sample.kind,
    status: sample.status,
  };
}

function bodyOf(sample: SampleRecord, topologies: TopologyRecord[]): Row {
  if (sample.status === 'failed') return { reason: sample.reason };
  const topology = topologies.find(({ name }) => name === sample.topology);
  return topology ? numbersOf(sample, topology) : {};
}

function numbersOf(sample: OkSample, topology: TopologyRecord): Row {
  const metrics = metricsOf(sample, topology);
  return {
    requests_per_s: metrics.throughput,
    server_cpu_us_per_request: metrics.serverCpuUs,
    host_cpu_us_per_request: metrics.hostCpuUs,
    softirq_share: metrics.softirqShare,
    server_idle: metrics.serverIdle,
    client_idle: metrics.clientIdle,
    p50_us: metrics.p50Us,
    p99_us: metrics.p99Us,
    service_p99_us: metrics.service99Us,
    unsent_share: metrics.unsentShare,
    system_calls_per_request: systemCallsPerRequest(sample),
    crossings_per_request: crossingsPerRequest(sample),
    remote_wake_ups_per_1000_requests: remoteWakeUpsPer1000(sample),
  };
}
