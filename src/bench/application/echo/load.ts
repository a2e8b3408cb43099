import { join } from 'node:path';
import { echoResultSchema } from '../../../../loadgen/echo-result.js';
import { root } from '../../../base/paths.js';
import type { Load, LoadOutcome } from '../application.js';
import { pointOptions } from '../load-options.js';
import { outcomeOf } from '../load-outcome.js';

/** What of the load is said in a report. */
export const parameters = { close: 'rst' };

/** Our own generator, in a process of its own. */
export function loadCommand(load: Load): string[] {
  const { requestsPerConnection, messageBytes } = load.point;
  return [
    process.execPath,
    join(root, 'dist/src/cli.js'),
    ...['load', 'echo', '--server', `${load.address}:${load.port}`, '--json', '--events'],
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
