import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { baseline } from '../../src/bench/application/variant.js';
import { appendResult, readResults } from '../../src/results/file.js';
import type { OkSample } from '../../src/results/schema.js';
import { at, machineRecord, okSample, on, plainShape, recordsOf } from './fixture.js';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'megapipe-results-'));
  file = join(folder, 'deep', 'results.ndjson');
});

afterEach(() => rmSync(folder, { recursive: true }));

function only<T>(all: T[]): T {
  expect(all).toHaveLength(1);
  return all[0] as T;
}

test('what was appended is read back, record for record', () => {
  const records = recordsOf(plainShape);
  for (const record of records) appendResult(file, record);
  const { machine, samples, skips, end } = only(readResults(file));
  expect([machine, ...samples, ...skips, end]).toEqual(records);
  expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toHaveLength(records.length);
});

test('failed samples and skips are read back with their reasons', () => {
  const {
    measured: _measured,
    disturbed: _disturbed,
    channels: _channels,
    systemCalls: _systemCalls,
    remoteWakeUps: _remoteWakeUps,
    ...head
  } = okSample({});
  const failed = { ...head, status: 'failed' as const, reason: 'the server was killed by SIGSEGV' };
  appendResult(file, machineRecord(['loopback']));
  appendResult(file, { type: 'skip', what: 'topology netns', reason: 'not root' });
  appendResult(file, failed);
  const results = only(readResults(file));
  expect(results.samples).toEqual([failed]);
  expect(results.skips).toEqual([{ type: 'skip', what: 'topology netns', reason: 'not root' }]);
  expect(results.end).toBeUndefined();
});

test('a record that the schema does not know is refused when it is written', () => {
  expect(() => appendResult(file, { ...okSample({}), systemCalls: -1 })).toThrow();
  expect(() => appendResult(file, { ...okSample({}), color: 'red' } as never)).toThrow();
});

test.each([
  ['not JSON', 'nonsense', /line 2, is not a result record: .*JSON/],
  ['an unknown type', '{"type":"dream"}', /line 2.*unknown type "dream"/],
  ['a wrong number', JSON.stringify({ ...okSample({}), round: 'third' }), /line 2(?:.|\n)*round/],
  ['a missing field', JSON.stringify({ ...okSample({}), variant: undefined }), /line 2(?:.|\n)*variant/],
])('%s in a file is refused by line and field', (_what, line, message) => {
  appendResult(file, machineRecord(['loopback']));
  writeFileSync(file, `${readFileSync(file, 'utf8')}${line}\n`);
  expect(() => readResults(file)).toThrow(message);
});

test('a file without a machine at its start is refused', () => {
  appendResult(file, okSample({}));
  expect(() => readResults(file)).toThrow(/has no machine record at its start/);
});

test('a file of several runs is read as these, each with its own samples', () => {
  appendResult(file, machineRecord(['loopback']));
  appendResult(file, okSample({}));
  appendResult(file, machineRecord(['loopback'], 'nginx'));
  appendResult(file, okSample({ point: on('specweb', 1) }));
  appendResult(file, okSample({ point: on('specweb', 2) }));
  const runs = readResults(file);
  expect(runs.map(({ machine }) => machine.workload.application)).toEqual(['memcached', 'nginx']);
  expect(runs.map(({ samples }) => samples.length)).toEqual([1, 2]);
});

/** Of format 3: no priority, no budget, and each sample was taken once. */
function machineOf3() {
  const { priority: _priority, plan, ...rest } = machineRecord(['netns']);
  const { budgetMs: _budget, ...oldPlan } = plan;
  return { ...rest, format: 3, plan: oldPlan };
}

function sampleOf3() {
  const {
    attempt: _attempt,
    disturbed: _disturbed,
    remoteWakeUps: _wakeUps,
    measured,
    ...rest
  } = okSample({ topology: 'netns' });
  const { othersShare: _share, ...oldMeasured } = measured;
  return { ...rest, measured: oldMeasured };
}

/** Today's, where what a sample lacks is not known. */
const upgraded = (change: Partial<OkSample>) => {
  const sample = okSample(change);
  return { ...sample, measured: { ...sample.measured, othersShare: null } };
};

test('a file of format 3 is read as if it were of today', () => {
  mkdirSync(dirname(file), { recursive: true });
  const { measured: _measured, channels: _channels, systemCalls: _calls, ...head } = sampleOf3();
  const phase = {
    about: 'x',
    topology: 'netns',
    variants: [baseline],
    points: [at(1)],
    samples: 1,
    firstRound: 0,
  };
  const machine3 = machineOf3();
  const records = [
    { ...machine3, plan: { ...machine3.plan, phases: [phase] } },
    sampleOf3(),
    { ...head, round: 1, status: 'failed', reason: 'it died' },
  ];
  writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  const { machine, samples } = only(readResults(file));
  expect(machine).toMatchObject({ format: 4, priority: null, plan: { budgetMs: null } });
  expect(machine.plan.phases).toEqual([{ ...phase, headline: null, tracedPoints: [at(1)] }]);
  expect(samples[0]).toEqual(upgraded({ topology: 'netns' }));
  expect(samples[1]).toMatchObject({ status: 'failed', attempt: 1 });
});

test('of the attempts at a sample the last one counts, and the others are not lost', () => {
  const tries = [1, 2, 3].map((attempt) => okSample({ attempt, disturbed: true }, 1000 * attempt));
  const other = okSample({ round: 1 });
  for (const record of [machineRecord(['loopback']), ...tries.slice(0, 2), other, ...tries.slice(2)]) {
    appendResult(file, record);
  }
  const { samples, retaken } = only(readResults(file));
  expect(samples).toEqual([other, tries[2]]);
  expect(retaken).toEqual(tries.slice(0, 2));
});

/** Of format 2: no phases, one client host, and what is a point's now was said elsewhere. */
function oldMachine() {
  const { topologies, plan, workload, ...rest } = machineOf3();
  const { lines: _lines, ...oldWorkload } = workload;
  const { arguments: _arguments, phases: _phases, ...oldPlan } = plan;
  return {
    ...rest,
    format: 2,
    topologies: topologies.map(({ clients, ...topology }) => ({ ...topology, client: clients[0] })),
    workload: { ...oldWorkload, parameters: { connections: 256 } },
    plan: oldPlan,
  };
}

function oldSample() {
  const { measured, point, ...rest } = sampleOf3();
  const { serviceUs: _serviceUs, unsent: _unsent, ...oldMeasured } = measured;
  const { messageBytes: _bytes, connections: _connections, rate: _rate, ...oldPoint } = point;
  return { ...rest, measured: { ...oldMeasured, concurrency: 256 }, point: oldPoint };
}

test('a file of format 2 is read as if it were of today', () => {
  mkdirSync(dirname(file), { recursive: true });
  const records = [oldMachine(), oldSample()];
  writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  const { machine, samples } = only(readResults(file));
  expect(machine.plan).toMatchObject({ arguments: [], phases: [] });
  expect(samples).toEqual([upgraded({ topology: 'netns' })]);
});

test('a run that was taken up again ends where it ended last', () => {
  const end = (outcome: 'complete' | 'interrupted') =>
    ({ type: 'end', endedAt: '2026-01-02T03:14:05.000Z', outcome }) as const;
  appendResult(file, machineRecord(['loopback']));
  appendResult(file, end('interrupted'));
  appendResult(file, { type: 'resume', startedAt: '2026-01-02T03:14:06.000Z' });
  appendResult(file, okSample({}));
  expect(only(readResults(file))).toMatchObject({ end: undefined, resumed: 1 });
  appendResult(file, end('complete'));
  expect(only(readResults(file)).end?.outcome).toBe('complete');
});

describe('a file of format 1, which knew memcached alone', () => {
  const { reuseport: _reuseport, ...oldVariant } = baseline;
  const { point: _point, ...head } = oldSample();
  const lines = [
    { ...oldMachine(), format: 1 },
    { ...head, topology: 'netns', variant: oldVariant, requestsPerConnection: 'unlimited' },
  ];
  const write = (records: unknown[]) => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  };

  test('is read as if it were of today', () => {
    write(lines);
    const { machine, samples } = only(readResults(file));
    expect(machine.format).toBe(4);
    expect(machine.topologies[0]?.clients[0]?.address).toBe('10.0.0.2');
    expect(samples).toEqual([upgraded({ topology: 'netns', point: { ...at('unlimited'), cores: 1 } })]);
  });

  test('is refused by line and field where it is broken', () => {
    write([lines[0], { ...lines[1], requestsPerConnection: 'often' }]);
    expect(() => readResults(file)).toThrow(/line 2(?:.|\n)*requestsPerConnection/);
  });
});

test('a file of a format to come is refused as that', () => {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify({ ...machineRecord(['loopback']), format: 5 }));
  expect(() => readResults(file)).toThrow('it is of format 5, and this megapipe reads 1 to 4');
});

test('a file that is not there is named', () => {
  expect(() => readResults(file)).toThrow(`cannot read ${file}`);
});
