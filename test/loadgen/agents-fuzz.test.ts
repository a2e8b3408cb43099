import fc from 'fast-check';
import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { hello, order, questions, report } from '../../loadgen/agents/protocol.js';
import { echoOptions } from '../../loadgen/echo-options.js';
import { httpOptions } from '../../loadgen/http-options.js';
import { emptyHistogram, isEncodedHistogram } from '../../loadgen/latency.js';
import { memcachedOptions } from '../../loadgen/options.js';
import { UserError } from '../../src/base/errors.js';
import { until } from '../waiting.js';
import { echoGiven, httpGiven, strangerAt } from './stranger.js';
import { agentHere, natsForTest } from './team.js';

const schemas: [string, z.ZodType][] = [
  ['hello', hello],
  ['report', report],
  ...Object.entries(questions).flatMap(([name, { question, answer }]): [string, z.ZodType][] => [
    [`${name}, asked`, question],
    [`${name}, answered`, answer],
  ]),
];

const run = 'a-run';
const latencyUs = { p50: 1, p90: 1, p99: 1, p999: 1, max: 1, mean: 1 };
const interval = { atS: 1, lengthS: 1, requests: 1, rps: 1, errors: 0, connectionsOpen: 1, latencyUs };
const histogram = encodeIntoCompressedBase64(emptyHistogram());

/** One of each message. */
const messages: object[] = [
  { protocol: 2, version: '1', id: 'x', name: 'n', host: 'h', busy: false },
  {
    run,
    protocol: 'echo',
    given: { seed: '1', verify: true, urls: ['x'], rate: 5 },
    silenceMs: 1,
    content: { body: 1 },
  },
  { run, of: 'body', at: 0, base64: 'eA==' },
  { run, wallMs: 1 },
  { run },
  { wallMs: 1 },
  { refused: 'no' },
  {},
  { kind: 'ready', id: 'x' },
  { kind: 'failed', id: 'x', message: 'm', hint: 'h', exitCode: 1 },
  { kind: 'started', id: 'x', lateMs: 1 },
  { kind: 'interval', id: 'x', phase: 'measuring', interval, histogram },
  { kind: 'result', id: 'x', result: {}, intervals: 1, beganWallMs: 1, endedWallMs: 2 },
];

const odd = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom('__proto__', '', '\u001b[2J', '../../etc/passwd', 1e308, -1, 2 ** 53, null, [], {}, true),
);

/** A message in which something, at any depth, is another thing, or is there too much or not at all. */
const bent = fc
  .tuple(fc.constantFrom(...messages), fc.array(fc.nat(20), { maxLength: 4 }), odd, fc.string(), fc.nat(2))
  .map(([message, path, value, name, how]) => {
    const copy = structuredClone(message) as Record<string, unknown>;
    let at = copy;
    for (const step of path) {
      const inner = Object.values(at).filter((one) => typeof one === 'object' && one !== null);
      at = (inner[step % Math.max(1, inner.length)] as Record<string, unknown> | undefined) ?? at;
    }
    const keys = Object.keys(at);
    const key = keys[(path[0] ?? 0) % Math.max(1, keys.length)] ?? name;
    if (how === 0) at[key] = value;
    if (how === 1) delete at[key];
    if (how === 2) Object.defineProperty(at, name, { value, enumerable: true });
    return copy;
  });

describe('messages', () => {
  test('are each taken by a schema as they are', () => {
    for (const message of messages)
      expect(
        schemas.some(([, schema]) => schema.safeParse(message).success),
        JSON.stringify(message),
      ).toBe(true);
  });

  test.for(schemas)('%s: anything else is refused without an exception', ([, schema]) => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), bent), (message) => {
        const parsed = schema.safeParse(JSON.parse(JSON.stringify(message)));
        if (!parsed.success) return;
        // What was understood says the same when it is said again, and can't steer a terminal.
        expect(schema.parse(parsed.data)).toEqual(parsed.data);
      }),
      { numRuns: 300 },
    );
  });

  test('hold no words that steer a terminal', () => {
    const failed = report.parse({ kind: 'failed', id: 'x', message: '\u001b[2Jgone\n', exitCode: 1 });
    expect(failed).toMatchObject({ message: '\ufffd[2Jgone\ufffd' });
    expect(hello.parse({ ...messages[0], name: 'a\u009b' }).name).toBe('a\ufffd');
    for (const bad of ['\u001b', 'a b', '', 'x'.repeat(65)])
      expect(order.safeParse({ ...messages[1], run: bad }).success).toBe(false);
  });

  test('hold histograms of ours alone, however large they would become', () => {
    expect(isEncodedHistogram(histogram)).toBe(true);
    const bytes = Buffer.from(histogram, 'base64');
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        expect(typeof isEncodedHistogram(changed.toString('base64'))).toBe('boolean');
      }),
    );
    for (const text of ['', 'eA==', 'no base64', histogram.slice(0, 20)])
      expect(isEncodedHistogram(text), text).toBe(false);
  });
});

const places = [
  '127.0.0.1:1',
  '[::1]:1',
  'unix:/x',
  'unix:',
  'unix:\0x',
  '[::1]',
  '127.0.0.1:0',
  '',
  '1',
  'x'.repeat(300),
];
const urls = [
  'http://127.0.0.1/',
  'http://127.0.0.1/a\r\nX: y',
  'http://u:p@127.0.0.1/',
  'ftp://127.0.0.1/',
  '\0',
  '//',
];

const given = {
  memcached: {
    ...echoGiven('127.0.0.1:1'),
    ...{ getSet: '9:1', keySize: '64', valueSize: '1024', keys: '10', popularity: 'uniform', multiget: '1' },
    ...{ protocol: 'ascii', prefill: true },
  },
  http: httpGiven('http://127.0.0.1:1/'),
  echo: echoGiven('127.0.0.1:1'),
};
const readers = {
  memcached: (all: object) => memcachedOptions(all),
  http: (all: object) => httpOptions(all),
  echo: (all: object) => echoOptions(all),
};

describe('the options of an order', () => {
  test.for(['memcached', 'http', 'echo'] as const)('%s: are taken or refused by name', async (name) => {
    const base = given[name];
    await readers[name](base);
    const words = fc.oneof(
      odd,
      fc.constantFrom('1e3', '0x10', ' 5', '-0', 'NaN', 'uniform:1-2', 'zipf:1,9', '1'.repeat(99)),
    );
    const change = fc.oneof(
      fc.tuple(
        fc.constantFrom(...Object.keys(base).filter((key) => key !== 'server' && key !== 'urls')),
        words,
      ),
      fc.tuple(fc.constant('server'), fc.constantFrom<unknown>(...places, 5, null, {})),
      fc.tuple(fc.constant('urls'), fc.oneof(fc.array(fc.constantFrom(...urls)), fc.constantFrom(5, null))),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const failure = await readers[name]({ ...base, ...Object.fromEntries(changes) }).then(
          () => undefined,
          (error) => error,
        );
        if (failure !== undefined) expect(failure).toBeInstanceOf(UserError);
      }),
      { numRuns: 300 },
    );
  });

  test('that are numbers are numbers, or their words', async () => {
    for (const seed of [true, ['5'], '', ' 5', '0x10', null, {}])
      await expect(echoOptions({ ...given.echo, seed }), JSON.stringify(seed)).rejects.toThrow(
        '--seed must be a whole number',
      );
    for (const seed of [5, '5', '5.0', '5e0'])
      expect((await echoOptions({ ...given.echo, seed })).seed).toBe(5);
  });
});

test('an agent lives on whatever is sent to it', async () => {
  const nats = await natsForTest();
  await agentHere(nats.url);
  const stranger = await strangerAt(nats.url);
  const noise = fc.sample(
    fc.oneof(
      bent.map((message) => JSON.stringify(message)),
      fc.string(),
      fc.uint8Array({ maxLength: 4096 }),
    ),
    300,
  );
  for (const words of noise) stranger.shout(words);
  expect(await stranger.say('clock', '{}')).toMatchObject({ wallMs: expect.any(Number) });
  // An order among it may have been understood: nobody brings its content, nor asks after it.
  await until('it is free', async () => !(await stranger.agent()).busy);
  expect(await stranger.order('nothing', {})).toMatchObject({
    kind: 'failed',
    message: 'there is no load of "nothing" here',
  });
  expect(await stranger.order('echo', echoGiven('127.0.0.1:1'))).toMatchObject({ kind: 'ready' });
});
