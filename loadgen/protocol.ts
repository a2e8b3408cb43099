import type { z } from 'zod';
import type { Content } from './given-content.js';
import type { Load } from './load.js';
import type { Together } from './merge.js';
import type { CommonResult, Counted, Given } from './result.js';

/** What a load generator speaks: everything that differs between `megapipe load memcached` and the others. */
export type Protocol<Result extends CommonResult & Counted> = {
  name: string;
  /** The options that it understands, but for those that `content` reads. */
  options: readonly string[];
  /** Read what options hold or name as files. Throws a UserError that names what is wrong with them. */
  content(given: Given): Content;
  /** A load from the command line's options. Throws a UserError that names what is wrong with them. */
  load(given: Given, content: Content): Promise<Load<Result>>;
  /** The options of one part where several machines share a load, after what all protocols have was split. */
  partOf(given: Given, index: number): Given;
  /** The content of each of so many parts. Throws a UserError where it can't be shared. */
  share(content: Content, parts: number): Content[];
  /** What --json prints. */
  result: z.ZodType<Result>;
  /** Parts of a load as one; there is one at least. */
  merge(parts: Result[], together: Together): Result;
  table(result: Result): string;
};
