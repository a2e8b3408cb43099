/** Of what is left of a budget until then, an equal part: for the one that is next of so many. */
export function shareUntil(endsAt: number, sharers: number): number {
  const now = Date.now();
  return now + Math.max(0, endsAt - now) / sharers;
}

/** The part of an application's time that its headline comparisons may take: what is left shows more than the answer. */
const headlinePart = 0.75;

/** Until when a phase may go on, that is the next of so many. */
export function phaseUntil(
  endsAt: number | undefined,
  isHeadline: boolean,
  phasesLeft: number,
): number | undefined {
  if (endsAt === undefined) return undefined;
  if (!isHeadline || phasesLeft === 1) return shareUntil(endsAt, phasesLeft);
  return shareUntil(endsAt, 1 / headlinePart);
}
