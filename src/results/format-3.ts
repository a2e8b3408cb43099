import { z } from 'zod';

const objectOf = (value: unknown) => z.looseObject({}).safeParse(value).data;

/**
 * Reads results of format 3, whose runs had no raised priority, no budget and no headline comparisons, and whose samples
 * were taken once, however much of the CPUs others had, as those of format 4.
 *
 * @param record any record of format 3
 */
export function fromFormat3(record: unknown): unknown {
  const fields = objectOf(record);
  if (fields?.type === 'machine') return machineOf(fields);
  return fields?.type === 'sample' ? sampleOf(fields) : record;
}

function machineOf({ plan, ...rest }: Record<string, unknown>): unknown {
  const { phases, ...others } = objectOf(plan) ?? {};
  const upgraded = Array.isArray(phases) ? phases.map(phaseOf) : phases;
  return { ...rest, format: 4, priority: null, plan: { ...others, budgetMs: null, phases: upgraded } };
}

function phaseOf(phase: unknown): unknown {
  const fields = objectOf(phase) ?? {};
  return { ...fields, headline: null, tracedPoints: fields.points };
}

function sampleOf({ measured, ...rest }: Record<string, unknown>): unknown {
  if (measured === undefined) return { ...rest, attempt: 1 };
  return {
    ...rest,
    attempt: 1,
    disturbed: false,
    measured: { ...objectOf(measured), othersShare: null },
  };
}
