import type { Arbitrary } from 'fast-check';
import type { Difference } from './compare.js';
import type { Observation } from './observation.js';

/** What is compared: the application as it is without us, and over each engine. */
export type Side = 'stock' | 'uring' | 'epoll';

/** A difference that is known, with its reason; as narrow as can be. */
export type Known<Scenario> = {
  reason: string;
  is(difference: Difference, scenario: Scenario): boolean;
};

/** An application that is tested by scenarios. */
export type Subject<Scenario> = {
  name: string;
  scenarios: Arbitrary<Scenario>;
  /** Run a scenario, and tell what was seen. */
  observe(side: Side, scenario: Scenario): Promise<Observation>;
  known: Known<Scenario>[];
};
