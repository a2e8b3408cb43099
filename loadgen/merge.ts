import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import type { Counters, Snapshot } from './engine.js';
import { addHistograms, type LatencyUs, latencyUs } from './latency.js';
import type { AgentPart, CommonResult, Counted } from './result.js';
import { mergeSteps } from './steps.js';

/** What is known of the whole load beside the results of its parts. */
export type Together = Pick<CommonResult, 'config' | 'interrupted' | 'window' | 'series'> & {
  /** All of them, those too whose results are missing. */
  agents: AgentPart[];
  /** Whose results the parts are, in their order. */
  names: string[];
};

/** Numbers at the same places added up; a place that only some have counts as theirs. */
export function addUp<T extends object>(parts: T[]): T {
  const sum: Record<string, unknown> = {};
  for (const [name, value] of parts.flatMap((part) => Object.entries(part))) {
    const before = sum[name];
    sum[name] = typeof value === 'number' ? Number(before ?? 0) + value : addUp([before ?? {}, value]);
  }
  return sum as T;
}

/** All that a run did, whatever its phase. */
export function wholeOf<Traffic extends object>(
  { warmup, measuring, draining }: Snapshot,
  trafficIn: (counters: Counters) => Traffic,
): Traffic {
  return addUp([warmup, measuring, draining].map(trafficIn));
}

type Encoded = Record<string, string>;

/** Latencies of all parts' requests: each histogram is the sum of those of its name. */
export function mergeLatencies<Histograms extends Encoded>(
  parts: { histogram: Histograms }[],
): { latencyUs: Record<keyof Histograms, LatencyUs | undefined>; histogram: Histograms } {
  const names = Object.keys(parts[0]?.histogram ?? {}) as (keyof Histograms)[];
  const sums = names.map(
    (name) => [name, addHistograms(parts.map(({ histogram }) => histogram[name] as string))] as const,
  );
  return {
    latencyUs: Object.fromEntries(sums.map(([name, sum]) => [name, latencyUs(sum)])) as Record<
      keyof Histograms,
      LatencyUs | undefined
    >,
    histogram: Object.fromEntries(
      sums.map(([name, sum]) => [name, encodeIntoCompressedBase64(sum)]),
    ) as Histograms,
  };
}

const severity = ['none', 'shared', 'saturated'] as const;

type Limit = Pick<CommonResult, 'clientSaturated' | 'clientLimit' | 'clientLimitReason'>;

/** The worst of them, and whose it is. */
function limitOf(parts: CommonResult[], names: string[]): Limit {
  const worst = Math.max(...parts.map(({ clientLimit }) => severity.indexOf(clientLimit)));
  const index = parts.findIndex(({ clientLimit }) => clientLimit === severity[worst]);
  const reason = parts[index]?.clientLimitReason ?? null;
  return {
    clientSaturated: worst > 0,
    clientLimit: severity[worst] ?? 'none',
    clientLimitReason: reason === null ? null : `${names[index]}: ${reason}`,
  };
}

function scheduleOf(parts: CommonResult[]): Pick<CommonResult, 'schedule'> {
  const schedules = parts.flatMap(({ schedule }) => (schedule ? [schedule] : []));
  return schedules.length === 0 ? {} : { schedule: addUp(schedules) };
}

/** What is known of a load whatever its protocol; a protocol adds what it counts. */
function mergeCommon(parts: (CommonResult & Counted)[], { names, ...together }: Together): CommonResult {
  const total = parts.reduce((sum, { requests }) => sum + requests.total, 0);
  const { seconds } = together.window;
  const first = (text: (part: CommonResult) => string | null) => parts.map(text).find((one) => one !== null);
  return {
    ...together,
    interrupted: together.interrupted || parts.some(({ interrupted }) => interrupted),
    engine: [...new Set(parts.map(({ engine }) => engine))].join(', '),
    throughputRps: seconds > 0 ? total / seconds : 0,
    ...scheduleOf(parts),
    ...mergeSteps(parts),
    clientCpu: addUp(parts.map(({ clientCpu }) => clientCpu)),
    threads: parts.flatMap(({ threads }) => threads),
    ...limitOf(parts, names),
    kernelCrossings: parts.reduce((sum, { kernelCrossings }) => sum + kernelCrossings, 0),
    channel: addUp(parts.map(({ channel }) => channel)),
    lastError: first(({ lastError }) => lastError) ?? null,
    serverComplaint: first(({ serverComplaint }) => serverComplaint) ?? null,
  };
}

/** Parts of a load as one, where nothing of the result is reckoned from the rest. */
export function mergeResults<Traffic extends object, Histograms extends Encoded>(
  parts: (CommonResult & Counted & { histogram: Histograms; whole: Traffic })[],
  together: Together,
  trafficIn: (part: unknown) => Traffic,
): CommonResult & Traffic & ReturnType<typeof mergeLatencies<Histograms>> & { whole: Traffic } {
  return {
    ...mergeCommon(parts, together),
    ...addUp(parts.map(trafficIn)),
    ...mergeLatencies<Histograms>(parts),
    whole: addUp(parts.map(({ whole }) => whole)),
  };
}
