import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { z } from 'zod';
import type { Snapshot } from './engine.js';
import { count } from './error-counts.js';
import { addHistograms, histogramOf, latencySchema, latencyUs, since } from './latency.js';
import { lengthOf, type Rate, type RateStep } from './rate.js';
import { answeredOf, errorsOf, type Outcome } from './run.js';

/** What was answered while a step of --rate lasted, those requests too that an earlier step had sent. */
export const stepResult = z.object({
  /** Requests a second at its begin and at its end. */
  from: z.number(),
  to: z.number(),
  /** Shorter than it should have been where the load was interrupted. */
  seconds: z.number(),
  requests: count,
  rps: z.number(),
  errors: count,
  latencyUs: z.object({ service: latencySchema, corrected: latencySchema }),
  histogram: z.object({ service: z.string(), corrected: z.string() }),
});
export type StepResult = z.infer<typeof stepResult>;

/** When each step but the first begins, in milliseconds from the window's begin. */
export function stepBeginsMs(rate: Rate | undefined): number[] {
  if (!rate || 'constant' in rate) return [];
  return rate.steps
    .slice(1)
    .map((_, index) => (lengthOf({ steps: rate.steps.slice(0, index + 1) }) as number) * 1000);
}

function distribution(now: Float64Array, before: Float64Array | undefined) {
  const histogram = histogramOf(since(now, before));
  return { latencyUs: latencyUs(histogram), encoded: encodeIntoCompressedBase64(histogram) };
}

function resultOf({ from, to }: RateStep, before: Snapshot | undefined, now: Snapshot): StepResult {
  const counted = (of: (counters: Snapshot['measuring']) => number) =>
    of(now.measuring) - (before ? of(before.measuring) : 0);
  const seconds = ((now.endNs || now.nowNs) - (before?.nowNs ?? now.beginNs)) / 1e9;
  const requests = counted(answeredOf);
  const service = distribution(now.service, before?.service);
  const corrected = distribution(now.corrected, before?.corrected);
  return {
    from,
    to,
    seconds,
    requests,
    rps: seconds > 0 ? requests / seconds : 0,
    errors: counted(errorsOf),
    latencyUs: { service: service.latencyUs, corrected: corrected.latencyUs },
    histogram: { service: service.encoded, corrected: corrected.encoded },
  };
}

/** The steps that were begun, each between the snapshots at its ends. */
export function stepsOf(
  rate: Rate | undefined,
  { marks, last }: Pick<Outcome, 'marks' | 'last'>,
): { steps?: StepResult[] } {
  if (!rate || 'constant' in rate) return {};
  const ends = [...marks, last];
  return {
    steps: ends.flatMap((end, index) => {
      const step = rate.steps[index];
      return step ? [resultOf(step, ends[index - 1], end)] : [];
    }),
  };
}

/** The same step of all parts of a load as one. */
function mergeStep(parts: StepResult[]): StepResult {
  const sum = (of: (part: StepResult) => number) => parts.reduce((total, part) => total + of(part), 0);
  const service = addHistograms(parts.map(({ histogram }) => histogram.service));
  const corrected = addHistograms(parts.map(({ histogram }) => histogram.corrected));
  const seconds = Math.max(...parts.map((part) => part.seconds));
  const requests = sum((part) => part.requests);
  return {
    from: sum((part) => part.from),
    to: sum((part) => part.to),
    seconds,
    requests,
    rps: seconds > 0 ? requests / seconds : 0,
    errors: sum((part) => part.errors),
    latencyUs: { service: latencyUs(service), corrected: latencyUs(corrected) },
    histogram: {
      service: encodeIntoCompressedBase64(service),
      corrected: encodeIntoCompressedBase64(corrected),
    },
  };
}

/** Steps of the parts of a load; a part that was interrupted has fewer. */
export function mergeSteps(parts: { steps?: StepResult[] | undefined }[]): { steps?: StepResult[] } {
  const all = parts.flatMap(({ steps }) => (steps ? [steps] : []));
  if (all.length === 0) return {};
  const longest = Math.max(...all.map(({ length }) => length));
  return {
    steps: Array.from({ length: longest }, (_, index) =>
      mergeStep(all.flatMap((steps) => steps[index] ?? [])),
    ),
  };
}
