import { makeEchoPlan } from './echo.js';
import { echoOptionNames, echoOptions } from './echo-options.js';
import { type EchoResult, echoResult, echoResultSchema, mergeEchoResults } from './echo-result.js';
import { withoutContent } from './given-content.js';
import type { Load } from './load.js';
import type { Protocol } from './protocol.js';
import type { Given } from './result.js';
import { echoTable } from './table.js';

/** A load of an echo server, from the command line's options. */
async function echoLoad(given: Given): Promise<Load<EchoResult>> {
  const options = await echoOptions(given);
  return {
    options,
    given,
    plan: makeEchoPlan(options),
    target: `echo server at ${options.server}`,
    result: (outcome, series) => echoResult(options, given, outcome, series),
    table: echoTable,
  };
}

/** `megapipe load echo`. */
export const echoProtocol: Protocol<EchoResult> = {
  name: 'echo',
  options: echoOptionNames,
  ...withoutContent,
  load: echoLoad,
  partOf: (given) => given,
  result: echoResultSchema,
  merge: mergeEchoResults,
  table: echoTable,
};
