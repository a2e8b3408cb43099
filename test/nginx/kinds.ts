import { describe } from 'vitest';
import type { Variant } from '../../src/port/port.js';
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
  /** An old version that the port has; undefined is the usual one. */
  version?: string | undefined;
  /** A server program that a test has built. */
  binary?: string;
};

/** Run a test file with an old version: NGINX_TEST_VERSION=1.0.15 npx vitest run test/nginx/large.test.ts. */
const version = process.env.NGINX_TEST_VERSION;

/** nginx as it is without us: what it fails at is wrong about the test. */
export const stock: Kind = {
  name: 'stock',
  variant: 'baseline',
  engine: undefined,
  sanitize: false,
  version,
};

/** Our build without `use megapipe`. */
export const unused: Kind = { ...stock, name: 'unused', variant: 'megapipe' };

function kindsOf(engine: Engine): Kind[] {
  const plain: Kind = { name: engine, variant: 'megapipe', engine, sanitize: false, version };
  return isOneEngine || version
    ? [plain]
    : [plain, { ...plain, name: `${engine}, sanitized`, sanitize: true }];
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
