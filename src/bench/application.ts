import { UserError } from '../errors.js';
import type { Channels, Measured, RequestsPerConnection, Variant } from '../results.js';
import { memcached } from './memcached.js';

/** Where a server listens, and with how many threads. */
export type ServerPlace = { address: string; port: number; threads: number };

/** How to load a server, for one sample. */
export type Load = {
  address: string;
  port: number;
  threads: number;
  requestsPerConnection: RequestsPerConnection;
  durationMs: number;
  warmupMs: number;
};

/** What a load generator says when it is done. A sample with any fault is a failed one: its work was not the same. */
export type LoadOutcome = {
  measured:
    | Pick<Measured, 'windowUs' | 'requests' | 'connections' | 'latencyUs' | 'clientEngine'>
    | undefined;
  faults: string[];
};

/** An application under test. Everything else in bench/ is the same for all of them. */
export type Application = {
  name: string;
  workload: string;
  parameters: Record<string, string | number>;
  concurrency: number;
  /** What is passed to every server, whatever its variant. */
  commonArguments: string[];
  serverCommand(variant: Variant, place: ServerPlace): string[];
  /** Words that a ready server answers, closing the connection. */
  ready: { words: string; answer: RegExp };
  /** Words that make a server tell of its channels, and how to read what it tells; null where it has none. */
  channels: { words: string; read(answer: string): Channels | null };
  loadCommand(load: Load): string[];
  readLoad(output: string): LoadOutcome;
};

const applications: Record<string, Application> = { memcached };

export const applicationNames = Object.keys(applications);

/** An application by its name, as the command line gives it. */
export function findApplication(name: string): Application {
  const application = applications[name];
  if (application) return application;
  throw new UserError(`there is no benchmark of "${name}"`, {
    hint: `there is: ${applicationNames.join(', ')}`,
    exitCode: 2,
  });
}
