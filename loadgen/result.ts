import { getSystemErrorName } from 'node:util';
import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { z } from 'zod';
import type { Counters, Snapshot, ThreadUsage } from './engine.js';
import { count, errorCounts } from './error-counts.js';
import { histogramOf, latencySchema, latencyUs } from './latency.js';
import type { CommonOptions } from './options.js';
import { meanRate, type Rate } from './rate.js';
import { answeredOf, type Interval, type Outcome } from './run.js';
import { stepResult, stepsOf } from './steps.js';

/** What goes back and forth, whatever the protocol. */
export const commonTraffic = {
  connections: count,
  bytesSent: count,
  bytesReceived: count,
  errors: errorCounts,
};

/** Requests of a protocol that has one kind of them. */
export const plainRequests = z.object({
  /** Answered, whatever the answer was. */
  total: count,
  /** Answers that were compared with what they must be, and right. */
  verified: count,
  /** Sent, but never answered. */
  failed: count,
});

/** The same, counted. */
export function plainRequestsOf(c: Counters): z.infer<typeof plainRequests> {
  return { total: answeredOf(c), verified: c.verified, failed: c.failed };
}

/** Latencies of requests, and their histograms of nanoseconds: HdrHistogram V2, compressed, base64. */
export const requestLatencies = {
  latencyUs: z.object({ service: latencySchema, corrected: latencySchema }),
  histogram: z.object({ service: z.string(), corrected: z.string() }),
};

const thread = z.object({
  cpu: count,
  userSeconds: z.number(),
  systemSeconds: z.number(),
  /** Shares of the window: on the CPU, waiting for it, neither. */
  runningShare: z.number(),
  waitingShare: z.number().nullable(),
  idleShare: z.number().nullable(),
});

const instant = z.object({ monotonicNs: z.number(), wall: z.iso.datetime() });

const agent = z.object({
  name: z.string(),
  host: z.string(),
  version: z.string(),
  /** Its wall clock less the conductor's, and by how much that may be wrong. */
  clock: z.object({ offsetMs: z.number(), uncertaintyMs: z.number() }),
  /** By how much it began to load later than it was told to. */
  lateMs: z.number().optional(),
  /** Why its part is in none of the sums; null: it is. */
  missing: z.string().nullable(),
  /** Of its part: its window by the conductor's clock, and what it counted in it. */
  window: z.object({ start: z.iso.datetime(), end: z.iso.datetime(), seconds: z.number() }).optional(),
  requests: count.optional(),
  errors: count.optional(),
});

/** What every result counts, whatever it calls the rest. */
export type Counted = {
  requests: { total: number };
  errors: Record<string, number>;
  histogram: { service: string; corrected: string };
};

/** One of several machines that loaded together. */
export type AgentPart = z.infer<typeof agent>;

/** What every `megapipe load … --json` prints. Numbers are of the measuring window where nothing else is said. */
export const commonResult = {
  config: z.record(z.string(), z.unknown()),
  engine: z.string(),
  /** By Ctrl-C: the window was shorter than it should have been. */
  interrupted: z.boolean(),
  window: z.object({ start: instant, end: instant, seconds: z.number() }),
  throughputRps: z.number(),
  /** Open loop only; of several steps the mean rate. */
  schedule: z.object({ rate: z.number(), sent: count, unsent: count }).optional(),
  clientCpu: z.object({ userSeconds: z.number(), systemSeconds: z.number() }),
  threads: z.array(thread),
  clientSaturated: z.boolean(),
  /** saturated: a thread had no CPU left; shared: it had to wait for its CPU, which others used as well. */
  clientLimit: z.enum(['none', 'shared', 'saturated']),
  clientLimitReason: z.string().nullable(),
  kernelCrossings: count,
  channel: z.record(z.string(), count),
  series: z.array(
    z.object({
      atS: z.number(),
      lengthS: z.number(),
      requests: count,
      rps: z.number(),
      errors: count,
      connectionsOpen: count,
      latencyUs: latencySchema,
    }),
  ),
  /** Errno's name of the latest failed call, the server's latest error. */
  lastError: z.string().nullable(),
  serverComplaint: z.string().nullable(),
  /** Where --rate has steps. */
  steps: z.array(stepResult).optional(),
  /** With --agents: who loaded. */
  agents: z.array(agent).optional(),
};

/** What every result has. */
export type CommonResult = z.infer<z.ZodObject<typeof commonResult>>;
/** What is counted whatever the protocol. */
export function commonTrafficOf(c: Counters): z.infer<z.ZodObject<typeof commonTraffic>> {
  return {
    connections: c.connections,
    bytesSent: c.bytesSent,
    bytesReceived: c.bytesReceived,
    errors: { ...c.errors },
  };
}

function threadOf({ cpu, wallNs, userUs, systemUs, waitingNs }: ThreadUsage): z.infer<typeof thread> {
  const runningShare = wallNs > 0 ? ((userUs + systemUs) * 1000) / wallNs : 0;
  const waitingShare = waitingNs < 0 ? null : wallNs > 0 ? waitingNs / wallNs : 0;
  return {
    cpu,
    userSeconds: userUs / 1e6,
    systemSeconds: systemUs / 1e6,
    runningShare,
    waitingShare,
    idleShare: waitingShare === null ? null : Math.max(0, 1 - runningShare - waitingShare),
  };
}

/** A thread that runs for more than this share of the window is the bottleneck itself. */
const saturatedShare = 0.9;
/** With less idle time than this a thread couldn't have done more. */
const leastIdleShare = 0.05;

type Limit = Pick<CommonResult, 'clientSaturated' | 'clientLimit' | 'clientLimitReason'>;

function limitOf(threads: CommonResult['threads']): Limit {
  const percent = (share: number | null) => `${Math.round((share ?? 0) * 100)} %`;
  const busiest = threads.findIndex((t) => t.runningShare >= saturatedShare);
  if (busiest >= 0) {
    const reason = `thread ${busiest} used ${percent(threads[busiest]?.runningShare ?? 0)} of CPU ${threads[busiest]?.cpu}`;
    return { clientSaturated: true, clientLimit: 'saturated', clientLimitReason: reason };
  }
  const crowded = threads.findIndex((t) => t.idleShare !== null && t.idleShare < leastIdleShare);
  const one = threads[crowded];
  if (!one) return { clientSaturated: false, clientLimit: 'none', clientLimitReason: null };
  const reason = `thread ${crowded} ran for ${percent(one.runningShare)} of the time and waited ${percent(one.waitingShare)} for CPU ${one.cpu}, which others used as well`;
  return { clientSaturated: true, clientLimit: 'shared', clientLimitReason: reason };
}

/** JSON has no undefined, and the parsed forms of options are ours: what was asked for, in its own words. */
export type Given = Record<string, unknown>;

function configOf(options: CommonOptions, given: Given): Given {
  const decided = { threads: options.threads, cpus: options.cpus, warmup: options.warmup };
  const duration = options.duration === undefined ? {} : { duration: options.duration };
  const requests = options.requests === undefined ? {} : { requests: options.requests };
  return { ...given, ...decided, ...duration, ...requests };
}

function windowOf({ last, beganAtMs }: Outcome): CommonResult['window'] {
  const seconds = (last.endNs - last.beginNs) / 1e9;
  return {
    start: { monotonicNs: last.beginNs, wall: new Date(beganAtMs).toISOString() },
    end: { monotonicNs: last.endNs, wall: new Date(beganAtMs + seconds * 1000).toISOString() },
    seconds,
  };
}

function scheduleOf(rate: Rate | undefined, { sent, unsent }: Counters): Pick<CommonResult, 'schedule'> {
  return rate === undefined ? {} : { schedule: { rate: meanRate(rate), sent, unsent } };
}

/** Latencies of requests, and their histograms. */
export function latencies(last: Snapshot, openLoop: boolean): z.infer<z.ZodObject<typeof requestLatencies>> {
  const service = histogramOf(last.service);
  const corrected = openLoop ? histogramOf(last.corrected) : service;
  return {
    latencyUs: { service: latencyUs(service), corrected: latencyUs(corrected) },
    histogram: {
      service: encodeIntoCompressedBase64(service),
      corrected: encodeIntoCompressedBase64(corrected),
    },
  };
}

/** The errno's name, like ECONNREFUSED; null for 0. */
export function errnoName(error: number): string | null {
  return error === 0 ? null : getSystemErrorName(error);
}

/** What is known of a run whatever its protocol. */
export function commonResultOf(
  options: CommonOptions,
  given: Given,
  outcome: Outcome,
  series: Interval[],
): Omit<CommonResult, 'interrupted'> {
  const { last } = outcome;
  const window = windowOf(outcome);
  const threads = last.threads.map(threadOf);
  return {
    config: configOf(options, given),
    engine: last.engine,
    window,
    throughputRps: window.seconds > 0 ? answeredOf(last.measuring) / window.seconds : 0,
    ...scheduleOf(options.rate, last.measuring),
    clientCpu: {
      userSeconds: threads.reduce((total, t) => total + t.userSeconds, 0),
      systemSeconds: threads.reduce((total, t) => total + t.systemSeconds, 0),
    },
    threads,
    ...limitOf(threads),
    kernelCrossings: last.stats.crossings,
    channel: { ...last.stats },
    series,
    ...stepsOf(options.rate, outcome),
    lastError: errnoName(last.lastError),
    serverComplaint: last.complaint || null,
  };
}
