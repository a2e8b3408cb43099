/** A part of an open loop: requests a second at its begin and at its end, between which they grow or fall evenly. */
export type RateStep = { from: number; to: number; seconds: number };

/** How many requests a second are sent, all threads together: always as many, or step after step. */
export type Rate = { constant: number } | { steps: RateStep[] };

const constantForm = /^\d+(?:\.\d+)?(?:e\d+)?$/i;
const stepForm = /^(\d+(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?:(\d+(?:\.\d+)?)(s|m)$/;
const secondsOf = { s: 1, m: 60 };

function parseStep(text: string): RateStep | undefined {
  const [, first, last, length, unit] = stepForm.exec(text) ?? [];
  if (first === undefined || length === undefined) return undefined;
  const [from, to] = [Number(first), Number(last ?? first)];
  const seconds = Number(length) * secondsOf[unit as 's' | 'm'];
  return from + to > 0 && seconds > 0 ? { from, to, seconds } : undefined;
}

/** Reads `1000`, `1000:10s,2000:1m` or `0..50000:60s`; undefined: it is none of these. */
export function parseRate(text: string): Rate | undefined {
  if (constantForm.test(text)) return Number(text) > 0 ? { constant: Number(text) } : undefined;
  const steps = text.split(',').map(parseStep);
  return steps.every((step) => step !== undefined) ? { steps } : undefined;
}

/** The words that parseRate() reads. */
export function rateText(rate: Rate): string {
  if ('constant' in rate) return String(rate.constant);
  const stepText = ({ from, to, seconds }: RateStep) =>
    `${from === to ? from : `${from}..${to}`}:${seconds}s`;
  return rate.steps.map(stepText).join(',');
}

/** The same shape, so many times as fast. */
export function scaleRate(rate: Rate, factor: number): Rate {
  if ('constant' in rate) return { constant: rate.constant * factor };
  return {
    steps: rate.steps.map(({ from, to, seconds }) => ({ from: from * factor, to: to * factor, seconds })),
  };
}

/** How long the steps take together; undefined: a constant rate has no end. */
export function lengthOf(rate: Rate): number | undefined {
  return 'constant' in rate ? undefined : rate.steps.reduce((sum, { seconds }) => sum + seconds, 0);
}

const requestsOf = ({ from, to, seconds }: RateStep) => ((from + to) / 2) * seconds;

/** Requests a second over the whole time. */
export function meanRate(rate: Rate): number {
  if ('constant' in rate) return rate.constant;
  return rate.steps.reduce((sum, step) => sum + requestsOf(step), 0) / (lengthOf(rate) as number);
}

/** The most requests a second that there are at any time. */
export function peakRate(rate: Rate): number {
  return 'constant' in rate ? rate.constant : Math.max(...rate.steps.flatMap(({ from, to }) => [from, to]));
}

/** When the n-th request of steps is due, in seconds from their begin; infinity where they have fewer. */
export function dueIn(steps: readonly RateStep[]): (n: number) => number {
  const begins: { step: RateStep; atS: number; before: number }[] = [];
  let [atS, before] = [0, 0];
  for (const step of steps) {
    begins.push({ step, atS, before });
    atS += step.seconds;
    before += requestsOf(step);
  }
  return (n) => {
    const place = begins.findLast((begin) => begin.before <= n);
    if (!place || n >= before) return Number.POSITIVE_INFINITY;
    return place.atS + timeWithin(place.step, n - place.before);
  };
}

/** Solves requests = from·t + (to − from)·t²/(2·seconds) for t, in the form that stays exact where from and to are alike. */
function timeWithin({ from, to, seconds }: RateStep, requests: number): number {
  if (requests === 0) return 0;
  const growth = (to - from) / seconds;
  return (2 * requests) / (from + Math.sqrt(Math.max(0, from * from + 2 * growth * requests)));
}
