import { describe } from 'vitest';
import type { Variant } from '../../src/port.js';
import { type Engine, engines, isOneEngine } from '../engines.js';
import { testUnless } from '../skip.js';

/** A server to test: which build, and with which event method. */
export type Kind = {
  name: string;
  variant: Variant;
  /** The engine of `use megapipe`; undefined leaves `use` out. */
  engine: Engine | undefined;
  /** The build with AddressSanitizer and UndefinedBehaviorSanitizer; what they say fails the test. */
  sanitize: boolean;
};

/** nginx as it is without us: what it fails at is wrong about the test. */
export const stock: Kind = { name: 'stock', variant: 'baseline', engine: undefined, sanitize: false };

/** Our build without `use megapipe`. */
export const unused: Kind = { name: 'unused', variant: 'megapipe', engine: undefined, sanitize: false };

function kindsOf(engine: Engine): Kind[] {
  const plain: Kind = { name: engine, variant: 'megapipe', engine, sanitize: false };
  return isOneEngine ? [plain] : [plain, { ...plain, name: `${engine}, sanitized`, sanitize: true }];
}

/**
 * Tests for stock nginx and for each engine, of the plain and of the sanitized build; engines that do not work here
 * are a skip.
 */
export function describeKinds(tests: (kind: Kind) => void) {
  if (!isOneEngine) describe(stock.name, () => tests(stock));
  describeEngines(tests);
}

/** The same without stock nginx, for what it has not. */
export function describeEngines(tests: (kind: Kind) => void) {
  for (const { engine, missing } of engines) {
    if (missing !== undefined) {
      testUnless(missing)(`${engine}: everything`, () => {});
      continue;
    }
    for (const kind of kindsOf(engine)) describe(kind.name, () => tests(kind));
  }
}
