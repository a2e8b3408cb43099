import { describe, expect, it } from 'vitest';
import { loadEngine, type Notice, type Plan, type Snapshot } from '../../loadgen/engine.js';
import { errorCounts } from '../../loadgen/error-counts.js';

// The boundary between TypeScript and the native engine: what it refuses, and what it hands back.

const { Run } = loadEngine();

/** A plan of one connection to a port where nothing listens. */
const plan: Plan = {
  protocol: 'echo',
  host: '127.0.0.1',
  port: 1,
  engine: 'epoll',
  batch: 1,
  threads: 1,
  cpus: Uint32Array.of(0),
  concurrency: 1,
  pipeline: 1,
  multiget: 1,
  resetClose: false,
  verify: true,
  requestSize: 4,
  answerSize: 4,
  timeoutNs: 1e9,
  warmupNs: 0,
  durationNs: 0,
  requests: 1,
  limits: Uint32Array.of(0),
  gapsNs: new Float64Array(0),
  sequences: Uint32Array.of(0),
  keys: Uint8Array.of(1, 2, 3, 4),
  keyOffsets: Uint32Array.of(0, 4),
  pattern: new Uint8Array(0),
};

const start = (changes: Record<string, unknown>) => new Run({ ...plan, ...changes } as Plan, () => undefined);

describe('a wrong plan is an error that names the member', () => {
  const wrong: [string, unknown, string][] = [
    ['threads', '2', 'plan.threads must be a number'],
    ['threads', 0, 'plan.threads must be at least 1'],
    ['threads', 2, 'plan.cpus must have a CPU for each thread'],
    ['batch', -1, 'plan.batch must be between 0 and 4294967295'],
    ['batch', Number.NaN, 'plan.batch must be between 0 and 4294967295'],
    ['timeoutNs', 2 ** 64, 'plan.timeoutNs must be between 0 and 18446744073709551615'],
    ['verify', 1, 'plan.verify must be a boolean'],
    ['once', 'yes', 'plan.once must be a boolean'],
    ['protocol', undefined, 'plan.protocol must be a string'],
    ['cpus', [0], 'plan.cpus must be a Uint32Array'],
    ['cpus', Int32Array.of(0), 'plan.cpus must be a Uint32Array'],
    ['gapsNs', new Float32Array(1), 'plan.gapsNs must be a Float64Array'],
    ['starts', 3, 'plan.starts must be a Uint32Array'],
    ['keyOffsets', Uint32Array.of(0, 5), 'plan.keyOffsets must end where plan.keys ends'],
    ['port', 65536, 'plan.port must be between 0 and 65535'],
    ['host', 'localhost', 'plan.host must be an address, not "localhost"'],
    ['path', '', 'plan.path must have from 1 to 107 bytes'],
    ['path', 'x'.repeat(108), 'plan.path must have from 1 to 107 bytes'],
  ];
  for (const [member, value, message] of wrong)
    it(`${member}: ${typeof value === 'string' ? value.slice(0, 9) : String(value)}`, () => {
      expect(() => start({ [member]: value })).toThrow(message);
    });

  it('what isn’t an object, or a function', () => {
    expect(() => new Run(undefined as unknown as Plan, () => undefined)).toThrow('plan must be an object');
    expect(() => new Run(plan, 'notify' as unknown as () => void)).toThrow('notify must be a function');
    expect(() => (Run as unknown as (...all: unknown[]) => void)(plan, () => undefined)).toThrow();
  });
});

it('an engine that there isn’t is an error with the errno’s name and number', () => {
  expect(() => start({ engine: 'none' })).toThrow(expect.objectContaining({ code: 'ENOENT', errno: -2 }));
});

it('a run tells its notices and counts, and can’t be used when it is finished', async () => {
  const notices: Notice[] = [];
  const { run, last } = await new Promise<{ run: InstanceType<typeof Run>; last: Snapshot }>((resolve) => {
    const run = new Run(plan, (notice) => {
      notices.push(notice);
      if (notice === 'finished') resolve({ run, last: run.finish() });
    });
  });
  expect(notices.at(-1)).toBe('finished');
  expect(Object.keys(last.measuring.errors)).toEqual(Object.keys(errorCounts.shape));
  expect(last).toMatchObject({ phase: 'finished', engine: 'epoll', threads: [{ cpu: 0 }] });
  expect(last.warmup.errors.connect + last.measuring.errors.connect).toBeGreaterThan(0);
  for (const use of [() => run.snapshot(), () => run.stop(), () => run.finish()])
    expect(use).toThrow('this run has been finished');
});
