import { describe, expect, test } from 'vitest';
import { memcachedCommand } from '../../src/bench/application/memcached/memcached.js';
import { nginxConfig } from '../../src/bench/application/nginx/config.js';
import { moderated, parseVariant, whole } from '../../src/bench/application/variant.js';
import { checkIdentity } from '../../src/bench/sample.js';
import { lookOf } from '../../src/report/palette.js';
import { wholeVariants } from '../../src/report/variants.js';
import { variantSchema } from '../../src/results/schema.js';
import { megapipe } from '../megapipe.js';

/** Wake-up moderation: channels that wait a little for a batch of completions. */
const waiting = moderated(whole('uring'), 50);

describe('a variant that waits for a batch', () => {
  test('is named for it, with or without a lock for the whole cache', () => {
    expect(parseVariant('uring+PBL-W50')).toEqual(waiting);
    expect(parseVariant('uring+PBL-W200-FL')).toMatchObject({
      id: 'uring+PBL-W200-FL',
      moderationUs: 200,
      fineGrainedLocks: true,
    });
  });

  test.each([
    ['baseline-W50', 'baseline can’t wait 50 µs for a batch: it has no channels'],
    ['epoll+PBL-W50', 'epoll+PBL can’t wait 50 µs for a batch: engine epoll takes what is there'],
    ['uring+PL-W50', 'uring+PL can’t wait 50 µs for a batch: it has no batches'],
    ['uring+PBL-W0', 'uring+PBL can’t wait 0 µs for a batch: there is a limit'],
    ['uring+PBL-W10001', 'uring+PBL can’t wait 10001 µs for a batch: there is a limit'],
    ['uring+PBL-W', 'there is no variant "uring+PBL-W"'],
    ['uring+PBL-W5-W6', 'there is no variant "uring+PBL-W5"'],
  ])('is not %s', (id, words) => {
    expect(() => parseVariant(id)).toThrow(words);
  });

  test('is another than that which doesn’t', () => {
    const { moderationUs: _unknown, ...before } = whole('uring');
    expect(variantSchema.parse(before)).toEqual(whole('uring'));
    const told = { engine: 'uring' as const, techniques: waiting.techniques, batch: 32, moderationUs: 50 };
    expect(() => checkIdentity(waiting, told)).not.toThrow();
    expect(() => checkIdentity(waiting, { ...told, moderationUs: 0 })).toThrow(
      'ran as uring+PBL (batch 32), not as uring+PBL-W50',
    );
    expect(wholeVariants([parseVariant('uring+PB'), whole('uring'), waiting])).toEqual([
      whole('uring'),
      waiting,
    ]);
    expect(lookOf(waiting)).not.toEqual(lookOf(whole('uring')));
  });

  test('has it in each server’s own words', () => {
    const place = { address: '127.0.0.1', port: 1, workers: 1, cpus: [0] };
    expect(memcachedCommand('memcached', waiting, place).join(' ')).toContain(',megapipe_moderation_us=50');
    const folders = { scratch: '/scratch', content: '/content' };
    expect(nginxConfig(waiting, place, folders)).toContain('megapipe_moderation_us 50;');
  });
});

test.each([
  [['--engine', 'epoll', '--moderation-us', '50'], 'engine epoll takes what is there'],
  [['--moderation-us', 'soon'], '--moderation-us soon is not a whole number from 1 to 10000'],
])('`serve` refuses %j', async (options, words) => {
  const { exitCode, stderr } = await megapipe(['serve', 'echo', ...options]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(words);
});
