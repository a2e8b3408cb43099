import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accumulated, baseline, reuseport, whole } from '../../src/bench/application/variant.js';
import type {
  FailedSample,
  MachineRecord,
  OkSample,
  Point,
  ResultRecord,
  Results,
  TopologyName,
  TopologyRecord,
  Variant,
} from '../../src/results/schema.js';

/** Results of a run that never was, of round numbers: what a report makes of them can be worked out by hand. */
export type Shape = {
  application?: string;
  topologies: TopologyName[];
  variants: Variant[];
  points: Point[];
  rounds: number;
  /** Requests in the window of one second. */
  requests(variant: Variant, point: Point, round: number): number;
  serverCpuUs(variant: Variant, point: Point, round: number): number;
  /** Of the CPUs' time; with over a tenth, samples are disturbed. */
  othersShare?: number;
  p50Us?(variant: Variant, round: number): number;
};

/** A point of memcached's, on both CPUs. */
export const at = (requestsPerConnection: number | 'unlimited'): Point => ({
  workload: 'memaslap',
  requestsPerConnection,
  messageBytes: null,
  cores: 2,
  connections: 256,
  rate: null,
});

/** A point of nginx's. */
export const on = (workload: string, cores: number): Point => ({
  workload,
  requestsPerConnection: null,
  messageBytes: null,
  cores,
  connections: 256,
  rate: null,
});

export const plainShape: Shape = {
  topologies: ['loopback'],
  variants: [baseline, ...accumulated('uring')],
  points: [at(1), at('unlimited')],
  rounds: 5,
  // Each technique brings a tenth of the baseline's throughput; rounds differ by one in a hundred.
  requests: ({ techniques }, point, round) =>
    (point.requestsPerConnection === 1 ? 10_000 : 100_000) * (1 + techniques.length / 10) * (1 + round / 100),
  serverCpuUs: ({ techniques }) => 800_000 - techniques.length * 100_000,
};

/** Three workloads on one and two cores: MegaPipe scales, stock I/O less; reuseport lies between. */
export const nginxShape: Shape = {
  application: 'nginx',
  topologies: ['loopback'],
  variants: [baseline, reuseport, ...accumulated('uring'), whole('epoll')],
  points: ['specweb', 'yahoo', 'yahoo/2'].flatMap((workload) => [on(workload, 1), on(workload, 2)]),
  rounds: 5,
  requests: (variant, { workload, cores }, round) => {
    const oneCore = workload === 'specweb' ? 20_000 : 10_000;
    const gain = (variant.reuseport ? 0.1 : 0) + variant.techniques.length / 10;
    const speedup = cores === 1 ? 1 : 1.5 + gain;
    return oneCore * (1 + gain) * speedup * (1 + round / 100);
  },
  serverCpuUs: ({ techniques }) => 800_000 - techniques.length * 100_000,
};

const topologies: Record<TopologyName, TopologyRecord> = {
  loopback: topology('loopback', [0, 1], [0, 1]),
  netns: topology('netns', [0], [1]),
  'netns-shared': topology('netns-shared', [0, 1], [0, 1]),
  'netns-3': topology('netns-3', [0], [1]),
  'one-core': topology('one-core', [0], [0]),
};

function topology(name: TopologyName, server: number[], client: number[]): TopologyRecord {
  return {
    name,
    description: `the topology ${name}`,
    sharesCpus: server.join() === client.join(),
    server: { address: '10.0.0.1', cpus: server, threads: server.length },
    clients: [{ address: '10.0.0.2', cpus: client, threads: client.length }],
  };
}

export function machineRecord(names: TopologyName[], application = 'memcached'): MachineRecord {
  return {
    type: 'machine',
    format: 4,
    startedAt: '2026-01-02T03:04:05.000Z',
    kernel: '6.1.0-test',
    distribution: 'Debian GNU/Linux 12 (bookworm)',
    architecture: 'x64',
    cpuModel: 'Abacus <2000>',
    cpus: 2,
    memoryBytes: 2 ** 33,
    virtualization: 'none',
    versions: { [application]: '1.2.3', node: '20.0.0' },
    sysctls: { 'net.core.somaxconn': '4096' },
    mitigations: { retbleed: 'Vulnerable' },
    commit: '0123456789ab',
    priority: { kind: 'autogroup', nice: -10, reason: null },
    topologies: names.map((name) => topologies[name]),
    workload: {
      application,
      description: 'gets and sets',
      parameters: { keyBytes: 64 },
      serverArguments: ['-m', '1024'],
      lines: application === 'memcached' ? { application: 50_000, changed: 340, own: 990 } : null,
    },
    plan: {
      preset: 'quick',
      samples: 5,
      durationMs: 1000,
      warmupMs: 100,
      budgetMs: null,
      arguments: [],
      phases: [],
    },
  };
}

export function okSample(change: Partial<OkSample>, requests = 10_000, serverCpuUs = 800_000): OkSample {
  return {
    type: 'sample',
    status: 'ok',
    startedAt: '2026-01-02T03:04:06.000Z',
    topology: 'loopback',
    variant: baseline,
    point: at(1),
    round: 0,
    kind: 'timed',
    attempt: 1,
    disturbed: false,
    measured: {
      windowUs: 1e6,
      sampledUs: 1e6,
      requests,
      connections: requests,
      unsent: 0,
      serverCpuUs,
      // All that the CPUs did.
      clientCpuUs: 1_600_000 - serverCpuUs,
      othersShare: 0,
      cpus: [0, 1].map((cpu) => ({
        cpu,
        userUs: 200_000,
        systemUs: 500_000,
        irqUs: 0,
        softirqUs: 100_000,
        idleUs: 200_000,
        stealUs: 0,
      })),
      latencyUs: { mean: 300, p50: 250, p90: 400, p99: 900, p999: 1500, max: 3000 },
      serviceUs: { mean: 300, p50: 250, p90: 400, p99: 900, p999: 1500, max: 3000 },
      clientEngine: 'epoll',
    },
    channels: null,
    systemCalls: null,
    remoteWakeUps: null,
    ...change,
  };
}

/** One that failed in a round that the shapes' runs don't have. */
export function failedSample(reason: string, variant: Variant = baseline): FailedSample {
  const {
    measured: _measured,
    disturbed: _disturbed,
    channels: _channels,
    systemCalls: _systemCalls,
    remoteWakeUps: _remoteWakeUps,
    ...head
  } = okSample({});
  return { ...head, status: 'failed', variant, round: 5, reason };
}

/** All records of a run of this shape, timed samples first, then traced ones. */
export function recordsOf(shape: Shape): ResultRecord[] {
  const timed = Array.from({ length: shape.rounds }, (_, round) => round).flatMap((round) =>
    cellsOf(shape).map(([topology, point, variant]) => {
      const requests = Math.round(shape.requests(variant, point, round));
      const cpuUs = shape.serverCpuUs(variant, point, round);
      const channels =
        variant.engine && shape.application !== 'nginx'
          ? {
              engine: variant.engine,
              techniques: variant.techniques,
              batch: variant.batch as number,
              moderationUs: variant.moderationUs,
              operations: requests * 2,
              crossings: Math.round(requests / (variant.batch === 1 ? 1 : 8)),
              largestBatch: variant.batch as number,
            }
          : null;
      const sample = okSample({ topology, variant, point, round, channels }, requests, cpuUs);
      sample.measured.othersShare = shape.othersShare ?? 0;
      sample.disturbed = sample.measured.othersShare > 0.1;
      sample.measured.latencyUs.p50 = shape.p50Us?.(variant, round) ?? 250;
      return sample;
    }),
  );
  const traced = cellsOf(shape).map(([topology, point, variant]) =>
    okSample({
      topology,
      variant,
      point,
      round: shape.rounds,
      kind: 'traced',
      systemCalls: variant.engine ? 2_500 : 70_000,
      remoteWakeUps: variant.engine ? 2 : 300,
    }),
  );
  const end: ResultRecord = { type: 'end', endedAt: '2026-01-02T03:14:05.000Z', outcome: 'complete' };
  return [machineRecord(shape.topologies, shape.application), ...timed, ...traced, end];
}

function cellsOf({ topologies, points, variants }: Shape): [TopologyName, Point, Variant][] {
  return topologies.flatMap((name) =>
    points.flatMap((point) =>
      variants.map((variant): [TopologyName, Point, Variant] => [name, point, variant]),
    ),
  );
}

/** As read from a file. */
export function resultsOf(records: ResultRecord[]): Results {
  return {
    machine: records.find((record) => record.type === 'machine') as Results['machine'],
    samples: records.filter((record) => record.type === 'sample'),
    retaken: [],
    skips: records.filter((record) => record.type === 'skip'),
    end: records.find((record) => record.type === 'end'),
    resumed: 0,
  };
}

/** A results file of these records, in a folder of its own. */
export function writeRecords(records: ResultRecord[]): string {
  const file = join(mkdtempSync(join(tmpdir(), 'megapipe-report-')), 'results.ndjson');
  writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  return file;
}
