import { engineName } from '../../results/schema.js';
import type { LoadOutcome } from './application.js';

type Latency = NonNullable<LoadOutcome['measured']>['latencyUs'];

/** What the results of all load generators have. */
type LoadResult = {
  window: { seconds: number };
  requests: { total: number };
  connections: number;
  schedule?: { unsent: number } | undefined;
  latencyUs: { corrected?: Latency | undefined; service?: Latency | undefined };
  engine: string;
  serverComplaint: string | null;
  lastError: string | null;
};

/** What a sample measured, and what was wrong with it: the faults by name, none of which may have been counted. */
export function outcomeOf(result: LoadResult, counted: [fault: string, count: number][]): LoadOutcome {
  const { requests, connections, schedule, latencyUs } = result;
  const { corrected, service } = latencyUs;
  const faults = faultsOf(result, counted);
  if (!corrected || !service) return { measured: undefined, faults: [...faults, 'no request was answered'] };
  return {
    measured: {
      windowUs: result.window.seconds * 1e6,
      requests: requests.total,
      connections,
      unsent: schedule?.unsent ?? 0,
      latencyUs: corrected,
      serviceUs: service,
      clientEngine: engineName.parse(result.engine),
    },
    faults,
  };
}

function faultsOf({ serverComplaint, lastError }: LoadResult, counted: [string, number][]): string[] {
  const counts = counted.filter(([, count]) => count > 0);
  if (counts.length === 0) return [];
  const detail = [serverComplaint, lastError].filter((text) => text !== null).join(', ');
  const listed = counts.map(([what, count]) => `${count} × ${what}`).join(', ');
  return [`the load generator counted ${listed}${detail ? ` (${detail})` : ''}`];
}
