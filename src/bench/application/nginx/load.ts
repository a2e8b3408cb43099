import { httpResultSchema } from '../../../../loadgen/http-result.js';
import { workloadNames } from '../../../../loadgen/workloads.js';
import type { Load, LoadOutcome } from '../application.js';
import { pointOptions } from '../load-options.js';
import { outcomeOf } from '../load-outcome.js';

/** The paper's workloads (section 5.3). */
export const workloads = workloadNames;

/** What of the load is said in a report. */
export const parameters = { close: 'rst' };

/** What our own generator is told. */
export function loadWords(load: Load): string[] {
  return [
    ...['http', `http://${load.address}:${load.port}/`, '--json', '--events'],
    ...['--workload', load.point.workload, '--close', parameters.close],
    ...pointOptions(load),
  ];
}

/** Read what `megapipe load http --json` prints: every answer must be 200 and right. */
export function readLoad(output: string): LoadOutcome {
  const result = httpResultSchema.parse(JSON.parse(output));
  const { errors, statuses } = result.whole;
  const others = Object.entries(statuses).filter(([status]) => status !== '200');
  return outcomeOf(result, [
    ...Object.entries(errors),
    ...others.map(([status, count]): [string, number] => [`status ${status}`, count]),
  ]);
}
