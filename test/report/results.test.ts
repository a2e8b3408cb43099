import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { appendResult, readResults } from '../../src/results.js';
import { machineRecord, okSample, plainShape, recordsOf } from './fixture.js';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'megapipe-results-'));
  file = join(folder, 'deep', 'results.ndjson');
});

afterEach(() => rmSync(folder, { recursive: true }));

test('what was appended is read back, record for record', () => {
  const records = recordsOf(plainShape);
  for (const record of records) appendResult(file, record);
  const { machine, samples, skips, end } = readResults(file);
  expect([machine, ...samples, ...skips, end]).toEqual(records);
  expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toHaveLength(records.length);
});

test('failed samples and skips are read back with their reasons', () => {
  const { measured: _measured, channels: _channels, systemCalls: _systemCalls, ...head } = okSample({});
  const failed = { ...head, status: 'failed' as const, reason: 'the server was killed by SIGSEGV' };
  appendResult(file, machineRecord(['loopback']));
  appendResult(file, { type: 'skip', what: 'topology netns', reason: 'not root' });
  appendResult(file, failed);
  const results = readResults(file);
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
  expect(() => readResults(file)).toThrow(/has 0 machine records/);
});

test('a file of two runs is refused', () => {
  appendResult(file, machineRecord(['loopback']));
  appendResult(file, machineRecord(['loopback']));
  expect(() => readResults(file)).toThrow(/has 2 machine records/);
});

test('a file that is not there is named', () => {
  expect(() => readResults(file)).toThrow(`cannot read ${file}`);
});
