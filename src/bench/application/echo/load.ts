import { echoResultSchema } from '../../../../loadgen/echo-result.js';
import type { Load, LoadOutcome } from '../application.js';
import { pointOptions } from '../load-options.js';
import { outcomeOf } from '../load-outcome.js';

/** What of the load is said in a report. */
export const parameters = { close: 'rst' };

/** What our own generator is told. */
export function loadWords(load: Load): string[] {
  const { requestsPerConnection, messageBytes } = load.point;
  return [
    ...['echo', '--server', `${load.address}:${load.port}`, '--json', '--events'],
    ...pointOptions(load),
    ...['--requests-per-connection', String(requestsPerConnection), '--size', String(messageBytes)],
    ...['--close', parameters.close],
  ];
}

/** Read what `megapipe load echo --json` prints: all that came back was what had been sent. */
export function readLoad(output: string): LoadOutcome {
  const result = echoResultSchema.parse(JSON.parse(output));
  return outcomeOf(result, Object.entries(result.whole.errors));
}
