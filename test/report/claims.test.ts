import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { accumulated, baseline } from '../../src/bench/application/variant.js';
import { judgeClaims } from '../../src/report/claims.js';
import { summarize } from '../../src/report/summary.js';
import { readResults } from '../../src/results/file.js';
import type { Point, Results, Variant } from '../../src/results/schema.js';
import { at, nginxShape, plainShape, recordsOf, type Shape, writeRecords } from './fixture.js';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** What is said of each claim, as it begins. */
function outcomes(shape: Shape): Record<string, string> {
  const file = writeRecords(recordsOf(shape));
  folders.push(dirname(file));
  const [run] = readResults(file) as [Results];
  const judged = judgeClaims(run.machine.workload.application, summarize(run));
  return Object.fromEntries(
    judged.map(({ claim, outcome }) => [claim.split(' ').slice(0, 3).join(' '), outcome]),
  );
}

const lengths: Point[] = [1, 128].map((requestsPerConnection) => ({
  ...at(requestsPerConnection),
  workload: 'echo',
  messageBytes: 64,
}));

/** An echo server whose gain is chosen for each technique, at one request a connection and at many. */
function echoShape(gains: (variant: Variant, isShort: boolean) => number): Shape {
  return {
    ...plainShape,
    application: 'echo',
    variants: [baseline, ...accumulated('uring')],
    points: lengths,
    requests: (variant, { requestsPerConnection }, round) =>
      10_000 * (1 + gains(variant, requestsPerConnection === 1)) * (1 + round / 100),
  };
}

test('a claim holds where the intervals are apart as it says, and does not where they are apart otherwise', () => {
  const falling = echoShape(({ techniques }, isShort) => techniques.length * (isShort ? 0.3 : 0.05));
  expect(outcomes(falling)['The shorter connections']).toBe('holds');
  const rising = echoShape(({ techniques }, isShort) => techniques.length * (isShort ? 0.05 : 0.3));
  expect(outcomes(rising)['The shorter connections']).toBe('does not hold');
});

test('a claim is undecided where the intervals meet, or the rounds are too few', () => {
  const same = echoShape(({ techniques }) => techniques.length * 0.1);
  expect(outcomes(same)['The shorter connections']).toBe('undecided');
  const few = { ...echoShape(({ techniques }, isShort) => (isShort ? techniques.length : 0)), rounds: 3 };
  expect(outcomes(few)['The shorter connections']).toBe('undecided');
});

test('batching is set against the other techniques', () => {
  const batch = echoShape(({ techniques }) => (techniques.includes('batch') ? 0.2 : 0));
  expect(outcomes(batch)['On long connections']).toBe('holds');
  const partition = echoShape(({ techniques }) => (techniques.includes('partition') ? 0.2 : 0));
  expect(outcomes(partition)['On long connections']).toBe('does not hold');
});

test('nginx’s workloads must all gain', () => {
  expect(outcomes(nginxShape)['All workloads gain']).toBe('holds');
  const one: Shape = {
    ...nginxShape,
    requests: (variant, { workload, cores }, round) =>
      10_000 * cores * (workload === 'yahoo' && variant.engine ? 0.8 : 1.1) * (1 + round / 100),
  };
  expect(outcomes(one)['All workloads gain']).toBe('does not hold');
});

test('what was not measured is not judged', () => {
  expect(Object.keys(outcomes(plainShape))).not.toContain('Median latency does');
  expect(
    outcomes({ ...echoShape(() => 0), points: lengths.slice(0, 1) })['The shorter connections'],
  ).toBeUndefined();
});

test('not all workloads gain where not all were measured', () => {
  const points = nginxShape.points.filter(({ workload }) => workload === 'specweb');
  expect(outcomes({ ...nginxShape, points })['All workloads gain']).toBe('undecided');
});

const connections: Point[] = [64, 256].map((count) => ({ ...at('unlimited'), connections: count }));

/** Two servers of one median latency, but for what the rounds differ in. */
function latencies(ofMegaPipe: (round: number) => number): Shape {
  return {
    ...plainShape,
    points: connections,
    p50Us: ({ engine }, round) => (engine ? ofMegaPipe(round) : 250),
  };
}

test('median latency does not suffer where it is at most a little higher, not where nobody can tell', () => {
  const claim = 'Median latency does';
  expect(outcomes(latencies(() => 250))[claim]).toBe('holds');
  expect(outcomes(latencies((round) => (round % 2 === 0 ? 200 : 320)))[claim]).toBe('undecided');
  expect(outcomes(latencies(() => 400))[claim]).toBe('does not hold');
});

test('no throughput holds that others disturbed', () => {
  const gain = echoShape(({ techniques }) => techniques.length * 0.3);
  const points = [at(1), at(128)];
  const short = { ...gain, application: 'memcached', points };
  expect(outcomes(short)['Short connections gain']).toBe('holds');
  expect(outcomes({ ...short, othersShare: 0.2 })['Short connections gain']).toBe('undecided');
});
