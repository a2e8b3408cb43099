import { describe, expect, test } from 'vitest';
import { identityIn } from '../../src/bench/application/memcached/channels.js';
import { memcachedCommand } from '../../src/bench/application/memcached/memcached.js';
import { baseline, fineGrained, parseVariant, whole } from '../../src/bench/application/variant.js';
import { findApplication } from '../../src/bench/applications.js';
import { makePlan, type PlanChoices } from '../../src/bench/plan.js';
import { checkIdentity } from '../../src/bench/sample.js';
import { lookOf } from '../../src/report/palette.js';
import { variantSchema } from '../../src/results/schema.js';
import { megapipe } from '../megapipe.js';
import { choices } from './choices.js';

/** The paper's -FL: servers without a lock for the whole cache, which memcached 1.4.13 can be. */
const old = findApplication('memcached', '1.4.13');
const idsOf = (changes: Partial<PlanChoices>) =>
  makePlan(old, { ...choices, ...changes }).phases.map(({ variants }) => variants.map(({ id }) => id));

test('a variant is named for it at its end', () => {
  expect(parseVariant('baseline-FL')).toEqual(fineGrained(baseline));
  expect(parseVariant('epoll+PB-FL')).toMatchObject({ id: 'epoll+PB-FL', batch: 32, fineGrainedLocks: true });
  expect(() => parseVariant('uring-FL-FL+P')).toThrow('there is no variant');
  expect(() => parseVariant('uring-FL-FL')).toThrow('there is no variant "uring-FL"');
});

test('results from before it had the usual locks', () => {
  const { fineGrainedLocks: _unknown, ...before } = whole('uring');
  expect(variantSchema.parse(before)).toEqual(whole('uring'));
});

describe('memcached 1.4.13', () => {
  test('is compared with it over requests a connection, as in the paper’s Fig. 5', () => {
    const [first, ...others] = idsOf({});
    expect(first?.slice(-2)).toEqual(['baseline-FL', 'uring+PBL-FL']);
    expect(others.flat().some((id) => id.endsWith('-FL'))).toBe(false);
  });

  test('with --fine-grained-locks has each chosen variant in both forms, once', () => {
    const variants = ['uring+P', 'epoll-FL'].map(parseVariant);
    const [first] = idsOf({ variants, fineGrainedLocks: true });
    expect(first).toEqual(['baseline', 'uring+P', 'epoll-FL', 'baseline-FL', 'uring+P-FL']);
  });

  test('is started with the option, and asked whether it has it', () => {
    const place = { address: '::1', port: 1, workers: 1, cpus: [0] };
    const command = (id: string) => memcachedCommand('memcached', parseVariant(id), place).join(' ');
    expect(command('baseline-FL')).toContain('-o fine_grained_locks');
    expect(command('uring+PBL-FL')).toContain('-o fine_grained_locks -o megapipe,');
    expect(command('uring+PBL')).not.toContain('fine_grained_locks');
    const stock = 'ERROR\r\n';
    const fine = identityIn(stock, 'STAT fine_grained_locks yes\r\nEND\r\n');
    const usual = identityIn(stock, 'STAT fine_grained_locks no\r\nEND\r\n');
    expect(() => checkIdentity(fineGrained(baseline), fine)).not.toThrow();
    expect(() => checkIdentity(baseline, usual)).not.toThrow();
    expect(() => checkIdentity(baseline, fine)).toThrow('ran as baseline-FL, not as baseline');
    expect(() => checkIdentity(fineGrained(baseline), usual)).toThrow('ran as baseline, not as baseline-FL');
  });
});

test.each([
  [['serve', 'memcached', '--fine-grained-locks'], 'memcached has no form'],
  [['bench', 'memcached', '--fine-grained-locks', '--no-setup'], 'memcached has no form'],
  [['bench', 'nginx', '--variants', 'uring+PBL-FL', '--no-setup'], 'nginx has no form'],
  [['serve', 'nginx', '--version', '1.0.15', '--fine-grained-locks'], 'nginx 1.0.15 has no form'],
])('%j is refused by name, with status 2', async (args, words) => {
  const { exitCode, stderr } = await megapipe(args);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(`megapipe: ${words} with fine-grained locks only`);
  expect(stderr).toContain('--version 1.4.13');
});

test('the report draws it with crosses, as the paper', () => {
  const variant = whole('uring');
  expect(lookOf(fineGrained(variant))).toEqual({ ...lookOf(variant), symbol: 'times' });
  expect(lookOf(fineGrained(baseline)).color).toBe(lookOf(baseline).color);
});
