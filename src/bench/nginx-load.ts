import { join } from 'node:path';
import { type HttpResult, httpResultSchema } from '../../loadgen/http-result.js';
import { workloadNames } from '../../loadgen/workloads.js';
import { root } from '../paths.js';
import { engineName } from '../results.js';
import type { Load, LoadOutcome } from './application.js';

/** The paper's workloads (section 5.3). */
export const workloads = workloadNames;

/** What of the load is said in a report. */
export const parameters = { connections: 256, close: 'rst' };

/** A request that waits for so long failed; on a busy machine some wait for long. */
const timeoutS = 30;

/** Our own generator, in a process of its own. */
export function loadCommand(load: Load): string[] {
  const seconds = (ms: number) => String(ms / 1000);
  return [
    process.execPath,
    join(root, 'dist/src/cli.js'),
    ...['load', 'http', `http://${load.address}:${load.port}/`, '--json', '--events'],
    ...['--workload', load.point.workload, '--close', parameters.close],
    ...['--threads', String(load.threads), '--concurrency', String(parameters.connections)],
    ...['--duration', seconds(load.durationMs), '--warmup', seconds(load.warmupMs)],
    ...['--timeout', String(timeoutS)],
  ];
}

/** Read what `megapipe load http --json` prints. */
export function readLoad(output: string): LoadOutcome {
  const result = httpResultSchema.parse(JSON.parse(output));
  const { requests, connections, latencyUs } = result;
  const faults = faultsOf(result);
  if (!latencyUs.corrected) return { measured: undefined, faults: [...faults, 'no request was answered'] };
  return {
    measured: {
      windowUs: result.window.seconds * 1e6,
      requests: requests.total,
      connections,
      latencyUs: latencyUs.corrected,
      clientEngine: engineName.parse(result.engine),
    },
    faults,
  };
}

/** Every answer must be 200 and right: an error of any kind, or another status, is a fault. */
function faultsOf({ whole, serverComplaint, lastError }: HttpResult): string[] {
  const statuses = Object.entries(whole.statuses).filter(([status]) => status !== '200');
  const counts = [
    ...Object.entries(whole.errors).filter(([, count]) => count > 0),
    ...statuses.map(([status, count]) => [`status ${status}`, count] as const),
  ];
  if (counts.length === 0) return [];
  const detail = [serverComplaint, lastError].filter((text) => text !== null).join(', ');
  const listed = counts.map(([what, count]) => `${count} × ${what}`).join(', ');
  return [`the load generator counted ${listed}${detail ? ` (${detail})` : ''}`];
}
