import type { z } from 'zod';
import type { Load } from './load.js';
import type { Together } from './merge.js';
import type { CommonResult, Counted, Given } from './result.js';

/** What a load generator speaks: everything that differs between `megapipe load memcached` and the others. */
export type Protocol<Result extends CommonResult & Counted> = {
  name: string;
  /** A load from the command line's options. Throws a UserError that names what is wrong with them. */
  load(given: Given): Promise<Load<Result>>;
  /**
   * The options of one part where several machines share a load, after what all protocols have was split.
   * Throws a UserError where they can't be shared.
   */
  partOf(given: Given, index: number): Given;
  /** What --json prints. */
  result: z.ZodType<Result>;
  /** Parts of a load as one; there is one at least. */
  merge(parts: Result[], together: Together): Result;
  table(result: Result): string;
};
