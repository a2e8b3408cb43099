import fc from 'fast-check';
import { clientSteps } from '../steps.js';
import { type Client, type ClientStep, type Command, lines, type MemcachedScenario } from './scenario.js';

const key = fc.nat({ max: 4 });
const size = fc.constantFrom(0, 1, 100, 5_000, 100_000, 900_000, 1_100_000);

/** Sizes of a value, and how often it is asked for at once: 2 MB of answer at most. */
const multigets = [
  { size: 1, count: 2_000 },
  { size: 100, count: 2_000 },
  { size: 5_000, count: 300 },
  { size: 100_000, count: 20 },
  { size: 900_000, count: 2 },
];

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('set' as const), key, size, noreply: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('meta set' as const), key, size }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('get' as const),
      first: key,
      count: fc.constantFrom(1, 3, 30, 2_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ key, multiget: fc.constantFrom(...multigets) })
      .map(({ key, multiget }) => ({ kind: 'set and get' as const, key, ...multiget })),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('meta get' as const),
      key,
      flags: fc.constantFrom('v', 's v k', 't', 'k q v'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('delete', 'incr', 'touch'), key }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('line' as const), line: fc.constantFrom(...lines) }),
  },
);

const asking: fc.Arbitrary<ClientStep> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('commands' as const),
      commands: fc.array(command, { minLength: 1, maxLength: 6 }),
      times: fc.constant(1),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('commands' as const),
      commands: fc.array(command, { minLength: 1, maxLength: 2 }),
      times: fc.constantFrom(5, 30),
    }),
  },
);

const steps = clientSteps<ClientStep>({
  asking,
  slowly: asking,
  unfinished: fc.record({
    do: fc.constant('begin command' as const),
    command,
    portion: fc.constantFrom(0, 0.3, 0.9),
  }),
  bytes: [0, 1, 50_000],
});

const client: fc.Arbitrary<Client> = fc.record({
  way: fc.constantFrom('stream', 'stream', 'stream', 'udp', 'binary', 'binary'),
  startMs: fc.constantFrom(0, 0, 0, 300, 900),
  copies: fc.constantFrom(1, 1, 1, 1, 8, 30, 60),
  steps,
  lingerMs: fc.constantFrom(0, 500, 5_000),
});

export const memcachedScenarios: fc.Arbitrary<MemcachedScenario> = fc.record({
  threads: fc.constantFrom(1, 2, 4, 16),
  connections: fc.constantFrom(1_024, 1_024, 1_024, 120),
  megabytes: fc.constantFrom(64, 64, 8),
  requestsPerEvent: fc.constantFrom(20, 20, 1),
  idleTimeout: fc.constantFrom(0, 0, 0, 2),
  itemMegabytes: fc.constantFrom(1, 1, 1, 2),
  transport: fc.constantFrom('tcp', 'tcp', 'tcp', 'tls', 'unix'),
  udp: fc.boolean(),
  lwsocket: fc.boolean(),
  partition: fc.boolean(),
  clients: fc.array(client, { minLength: 1, maxLength: 4 }),
});
