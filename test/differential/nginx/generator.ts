import fc from 'fast-check';
import { clientSteps } from '../steps.js';
import {
  type Client,
  type ClientStep,
  type FileName,
  fileSizes,
  type LifeStep,
  manners,
  type NginxScenario,
  type Request,
  type Resource,
  throughs,
  ways,
} from './scenario.js';

const files = [...Object.keys(fileSizes), 'missing'] as FileName[];

const resource: fc.Arbitrary<Resource> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('file' as const), name: fc.constantFrom(...files) }),
  },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'text' as const }, { kind: 'loop' as const }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('proxied' as const),
      through: fc.constantFrom(...throughs),
      manner: fc.constantFrom(...manners),
      size: fc.constantFrom(100, 20_000, 400_000, 4_000_000),
    }),
  },
);

const request: fc.Arbitrary<Request> = fc.record({
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST'),
  resource,
  body: fc.constantFrom(0, 10, 5_000, 300_000),
  close: fc.boolean(),
});

const asking: fc.Arbitrary<ClientStep> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('request' as const),
      requests: fc.array(request, { minLength: 1, maxLength: 4 }),
      times: fc.constant(1),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('request' as const),
      requests: fc.tuple(request.map((one) => ({ ...one, close: false, body: 10 }))),
      times: fc.constantFrom(10, 100),
    }),
  },
);

const steps = clientSteps<ClientStep>({
  asking,
  slowly: request.map((one) => ({ do: 'request', requests: [one], times: 1 })),
  unfinished: fc.record({
    do: fc.constant('begin request' as const),
    request,
    portion: fc.constantFrom(0, 0.3, 0.9),
  }),
  bytes: [0, 1, 200_000],
});

const client: fc.Arbitrary<Client> = fc.record({
  way: fc.constantFrom('http', 'http', ...ways),
  listener: fc.nat({ max: 44 }),
  startMs: fc.constantFrom(0, 0, 0, 300, 900),
  copies: fc.constantFrom(1, 1, 1, 1, 8, 30),
  steps,
  lingerMs: fc.constantFrom(0, 500, 5_000),
});

const lifeStep: fc.Arbitrary<LifeStep> = fc.record({
  atMs: fc.constantFrom(150, 600, 1_200),
  do: fc.constantFrom('reload', 'reload', 'reload', 'rotate', 'quit worker', 'kill worker'),
  listeners: fc.constantFrom(1, 2, 5, 45),
});

const seconds = (...some: number[]) => fc.constantFrom(...some);

export const nginxScenarios: fc.Arbitrary<NginxScenario> = fc.record({
  workers: fc.constantFrom(1, 1, 2, 4, 8),
  workerConnections: fc.constantFrom(1_024, 1_024, 512, 64),
  listeners: fc.constantFrom(1, 1, 2, 5, 45),
  partition: fc.boolean(),
  listen: fc.constantFrom('', '', 'sndbuf=128k', 'rcvbuf=16k', 'deferred', 'so_keepalive=on', 'reuseport'),
  sendfile: fc.boolean(),
  sendTimeout: seconds(60, 1, 2),
  keepaliveTimeout: seconds(60, 1, 0),
  headerTimeout: seconds(60, 1, 2),
  proxyReadTimeout: seconds(60, 1, 2),
  keepaliveRequests: fc.constantFrom(1_000, 3),
  clients: fc.array(client, { minLength: 1, maxLength: 4 }),
  life: fc.oneof(
    { weight: 3, arbitrary: fc.constant<LifeStep[]>([]) },
    { weight: 1, arbitrary: fc.array(lifeStep, { maxLength: 2 }) },
  ),
});
