import { z } from 'zod';

// A results file is NDJSON, of one run for each application measured: a `machine` line, a `skip` line for each thing that
// could not be measured here, a `sample` line for each sample, failed ones too, and an `end` line. A run that was
// interrupted and taken up again has a `resume` line after its first end, and what follows. Measuring writes it, reporting
// reads it, and neither knows the other. Quantities are raw (counts, microseconds): what follows from them is the report's
// business.

export const engineName = z.enum(['kernel', 'uring', 'epoll']);
export const techniqueName = z.enum(['partition', 'batch', 'lwsocket']);
export const topologyName = z.enum(['loopback', 'one-core', 'netns', 'netns-shared', 'netns-3']);
export const requestsPerConnection = z.union([z.int().positive(), z.literal('unlimited')]);

export type EngineName = z.infer<typeof engineName>;
export type TechniqueName = z.infer<typeof techniqueName>;
export type TopologyName = z.infer<typeof topologyName>;
export type RequestsPerConnection = z.infer<typeof requestsPerConnection>;

/** The format that is written; older ones are read. */
export const format = 4;

const count = z.int().nonnegative();
const us = z.number().nonnegative();

/** One way to run a server. */
export const variantSchema = z.strictObject({
  /**
   * A way to do stock I/O (`baseline`, `reuseport`), or the engine and the techniques' letters: `uring+PBL`; and `-W50`,
   * `-FL`. `again` is the baseline once more: what of a difference is none.
   */
  id: z.string(),
  /** Stock I/O or MegaPipe. */
  server: z.enum(['baseline', 'megapipe']),
  /** Stock I/O with an accept queue a worker (SO_REUSEPORT), where the application has that: MegaPipe's rival. */
  reuseport: z.boolean(),
  engine: engineName.nullable(),
  techniques: z.array(techniqueName),
  /** Requests that the channel collects before it enters the kernel; 1 without batching, null for stock I/O. */
  batch: z.int().positive().nullable(),
  /** How long the channel waits at most for a batch of completions, where they come in quick succession; 0: it doesn't. */
  moderationUs: count.default(0),
  /** memcached without its lock for the whole cache: the paper's -FL. */
  fineGrainedLocks: z.boolean().default(false),
});

/** What is varied within a run, beside the variant. */
const point = z.strictObject({
  workload: z.string(),
  /** Null where the workload has a distribution of them. */
  requestsPerConnection: requestsPerConnection.nullable(),
  /** Of each request and of its answer; null where the workload has sizes of its own. */
  messageBytes: z.int().positive().nullable(),
  /** The server's CPUs, and its workers. */
  cores: z.int().positive(),
  /** Held open at a time, by all clients together. */
  connections: z.int().positive(),
  /** Open loop: requests a second that are sent whatever the answers do; null where each waits for an answer. */
  rate: z.number().positive().nullable(),
});

const host = z.strictObject({
  address: z.string(),
  cpus: z.array(count),
  threads: z.int().positive(),
});

const topology = z.strictObject({
  name: topologyName,
  /** The topology in words, for the reader of a report. */
  description: z.string(),
  /** Whether server and client run on the same CPUs. */
  sharesCpus: z.boolean(),
  server: host,
  clients: z.array(host).min(1),
});

/** A machine, so that a reader can tell what its numbers are worth. */
export const machineDescription = z.strictObject({
  kernel: z.string(),
  distribution: z.string(),
  architecture: z.string(),
  cpuModel: z.string(),
  cpus: z.int().positive(),
  memoryBytes: count,
  virtualization: z.string(),
  /** The program or library, and its version. */
  versions: z.record(z.string(), z.string()),
  sysctls: z.record(z.string(), z.string()),
  /** The CPU vulnerabilities that the kernel mitigates, which make system calls dearer. */
  mitigations: z.record(z.string(), z.string()),
  /** This project's commit; "-dirty" where files differ from it. */
  commit: z.string(),
});

/** Lines of C, without blank ones and comments: the paper's Table 2. */
export const portLines = z.strictObject({
  /** Of the application as its makers released it. */
  application: count,
  /** Of these, added, changed and removed by our patches. */
  changed: count,
  /** In files of our own beside it. */
  own: count,
});

/** What a run is for: these comparisons with the baseline are what its rounds go to first. */
const headline = z.strictObject({
  /** The variant whose server CPU time a request and whose throughput are compared with the baseline's, at each point. */
  variant: z.string(),
  /** Where the baseline is compared with itself (`again`): one of the phase's points. Null: nowhere. */
  again: point.nullable(),
});

/** A part of a run: all its points with all its variants, round after round. */
const phase = z.strictObject({
  /** What it is about, where a topology has several. */
  about: z.string(),
  topology: topologyName,
  variants: z.array(variantSchema),
  points: z.array(point),
  /** Null where nothing of it is the run's answer: it shows more. */
  headline: headline.nullable(),
  /** Where system calls are counted, once for each variant. */
  tracedPoints: z.array(point),
  /** Rounds; where there is a budget of time, at most. */
  samples: z.int().positive(),
  /** The number of its first round: no two of a run have the same. */
  firstRound: count,
});

/** The scheduling priority of all that measures. */
const priority = z.strictObject({
  /** How it was raised: that of the session among sessions, that of the processes, or not at all. */
  kind: z.enum(['autogroup', 'nice', 'none']),
  /** From -20, the highest, to 19; 0 is everybody's. */
  nice: z.int().min(-20).max(19),
  /** Why it is not raised, or not in the better way. */
  reason: z.string().nullable(),
});

const machine = z.strictObject({
  type: z.literal('machine'),
  format: z.literal(format),
  startedAt: z.iso.datetime(),
  ...machineDescription.shape,
  /** Null in results that were written before there was one: it was everybody's. */
  priority: priority.nullable(),
  topologies: z.array(topology),
  workload: z.strictObject({
    application: z.string(),
    description: z.string(),
    parameters: z.record(z.string(), z.union([z.string(), z.number()])),
    serverArguments: z.array(z.string()),
    /** Of the application and its port; null where they were not counted, or there is no port. */
    lines: portLines.nullable(),
  }),
  plan: z.strictObject({
    preset: z.string(),
    samples: z.int().positive(),
    durationMs: z.int().positive(),
    warmupMs: count,
    /** Of time, for this application: rounds end when all headline comparisons are decided, or it is used up. Null: all rounds are taken. */
    budgetMs: z.int().positive().nullable(),
    /** Of the bench command, all of them: with these it takes an interrupted run up again. */
    arguments: z.array(z.string()),
    phases: z.array(phase),
  }),
});

const skip = z.strictObject({
  type: z.literal('skip'),
  what: z.string(),
  reason: z.string(),
});

/** How one CPU spent the window, in the kernel's clock ticks converted to microseconds. */
const cpuUse = z.strictObject({
  cpu: count,
  userUs: us,
  systemUs: us,
  irqUs: us,
  softirqUs: us,
  idleUs: us,
  stealUs: us,
});

const latency = z.strictObject({ mean: us, p50: us, p90: us, p99: us, p999: us, max: us });

const measured = z.strictObject({
  /** The load generator's own measuring window: what the requests are counted in. */
  windowUs: us,
  /** What the CPU times are counted in: the window as the bench saw it. */
  sampledUs: us,
  requests: count,
  /** Made within the window. */
  connections: count,
  /** Open loop: requests whose time came within the window, and that could not be sent in it. */
  unsent: count,
  serverCpuUs: us,
  clientCpuUs: us,
  /** Of the time of the CPUs that server and clients run on: what neither of them had, and what wasn't idle. Null: unknown. */
  othersShare: z.number().min(0).max(1).nullable(),
  cpus: z.array(cpuUse),
  /** Open loop: from when a request was to be sent. */
  latencyUs: latency,
  /** From when it was sent. */
  serviceUs: latency,
  /** The engine that the load generator ran on. */
  clientEngine: engineName,
});

/** What the server says of its own channels over the window; null where it has none, or does not tell. */
const channels = z.strictObject({
  engine: engineName,
  techniques: z.array(techniqueName),
  batch: z.int().positive(),
  moderationUs: count.default(0),
  /** Requests that the application asked of its channels: not the client's requests. */
  operations: count,
  crossings: count,
  largestBatch: count,
});

const sampleHead = {
  type: z.literal('sample'),
  startedAt: z.iso.datetime(),
  topology: topologyName,
  variant: variantSchema,
  point,
  /** Variants of one point are measured one after another in a round: the pairs that are compared. */
  round: count,
  /** `timed` samples have no tracing; `traced` ones count system calls and are worth nothing as timings. */
  kind: z.enum(['timed', 'traced']),
  /** From 1: a sample that others disturbed is taken again. Of one sample's attempts the last one counts. */
  attempt: z.int().positive(),
};

const okSample = z.strictObject({
  ...sampleHead,
  status: z.literal('ok'),
  measured,
  /** Whether others took so much of the CPUs that its throughput and its latencies are as much theirs. */
  disturbed: z.boolean(),
  channels: channels.nullable(),
  /** System calls of the server's processes over the window; null where they were not counted. */
  systemCalls: count.nullable(),
  /** Wake-ups of the server's threads by another CPU than the one they wait on, over the window; null where they were not counted. */
  remoteWakeUps: count.nullable().default(null),
});

const failedSample = z.strictObject({ ...sampleHead, status: z.literal('failed'), reason: z.string() });

const sample = z.discriminatedUnion('status', [okSample, failedSample]);

const end = z.strictObject({
  type: z.literal('end'),
  endedAt: z.iso.datetime(),
  /** `interrupted` where somebody stopped it before all samples were taken. */
  outcome: z.enum(['complete', 'interrupted']),
});

const resume = z.strictObject({ type: z.literal('resume'), startedAt: z.iso.datetime() });

export const resultRecord = z.union([machine, skip, okSample, failedSample, end, resume]);

export type Variant = z.infer<typeof variantSchema>;
export type Point = z.infer<typeof point>;
export type Phase = z.infer<typeof phase>;
export type Priority = z.infer<typeof priority>;
export type PortLines = z.infer<typeof portLines>;
export type Host = z.infer<typeof host>;
export type TopologyRecord = z.infer<typeof topology>;
export type MachineRecord = z.infer<typeof machine>;
export type SkipRecord = z.infer<typeof skip>;
export type CpuUse = z.infer<typeof cpuUse>;
export type Measured = z.infer<typeof measured>;
export type Channels = z.infer<typeof channels>;
export type OkSample = z.infer<typeof okSample>;
export type FailedSample = z.infer<typeof failedSample>;
export type SampleRecord = z.infer<typeof sample>;
export type EndRecord = z.infer<typeof end>;
export type ResultRecord = z.infer<typeof resultRecord>;

/** Points come from records, each with objects of its own: the same point has the same key. */
export function pointKey(point: Point): string {
  const { workload, requestsPerConnection, messageBytes, cores, connections, rate } = point;
  return [workload, requestsPerConnection, messageBytes, cores, connections, rate].join(' ');
}

type SampleHead = Pick<SampleRecord, 'topology' | 'variant' | 'point' | 'round' | 'kind'>;

/** Samples have the same key where one is as good as the other. */
export function sampleKey({ topology, variant, point, round, kind }: SampleHead): string {
  return [topology, variant.id, pointKey(point), round, kind].join(' ');
}

/** One run, as read from its file. */
export type Results = {
  machine: MachineRecord;
  skips: SkipRecord[];
  /** Those that count. */
  samples: SampleRecord[];
  /** Those that were disturbed, and taken again. */
  retaken: SampleRecord[];
  /** The last one. Undefined where the measuring program died before it could write it. */
  end: EndRecord | undefined;
  /** How often it was interrupted and taken up again. */
  resumed: number;
};

/** The schema that a record's own type names, so that an error is about its fields and not about five unions. */
export function schemaOf(value: unknown): z.ZodType<ResultRecord> {
  const { type, status } = z.looseObject({ type: z.string(), status: z.string().optional() }).parse(value);
  const schemas: Record<string, z.ZodType<ResultRecord>> = { machine, skip, end, resume };
  const schema = type === 'sample' ? (status === 'failed' ? failedSample : okSample) : schemas[type];
  if (!schema) throw new Error(`unknown type "${type}"`);
  return schema;
}
