import { loadResultSchema } from '../../../../loadgen/memcached-result.js';
import type { Load, LoadOutcome } from '../application.js';
import { pointOptions } from '../load-options.js';
import { outcomeOf } from '../load-outcome.js';

/** memaslap's default workload, as the paper used it, and what of it is said in a report. */
export const parameters = {
  keys: 100_000,
  keyBytes: 64,
  valueBytes: 1024,
  getsToSets: '9:1',
  close: 'rst',
};

/** What our own generator is told. */
export function loadWords(load: Load): string[] {
  return [
    ...['memcached', '--server', `${load.address}:${load.port}`, '--json', '--events'],
    ...pointOptions(load),
    ...['--requests-per-connection', String(load.point.requestsPerConnection), '--close', parameters.close],
    ...['--keys', String(parameters.keys), '--get-set', parameters.getsToSets],
    ...['--key-size', `fixed:${parameters.keyBytes}`, '--value-size', `fixed:${parameters.valueBytes}`],
  ];
}

/**
 * Read what `megapipe load memcached --json` prints. Everything is stored before and nothing is evicted, so a miss is a
 * fault as an error is.
 */
export function readLoad(output: string): LoadOutcome {
  const result = loadResultSchema.parse(JSON.parse(output));
  const { errors, requests } = result.whole;
  return outcomeOf(result, Object.entries({ ...errors, miss: requests.misses }));
}
