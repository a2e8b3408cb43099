import { describe, expect, test } from 'vitest';
import { dueIn, meanRate, parseRate, peakRate, rateText, scaleRate } from '../../loadgen/rate.js';
import { testOnEngines } from './engines.js';
import { startEcho } from './fake-echo.js';
import { loadEcho, runEchoLoad } from './loadgen.js';

describe('steps of a rate', () => {
  test('are read, written and scaled', () => {
    const rate = parseRate('1000:10s,0..5000:1m');
    expect(rate).toEqual({
      steps: [
        { from: 1000, to: 1000, seconds: 10 },
        { from: 0, to: 5000, seconds: 60 },
      ],
    });
    if (!rate) return;
    expect(parseRate(rateText(rate))).toEqual(rate);
    expect(scaleRate(rate, 0.5)).toEqual(parseRate('500:10s,0..2500:60s'));
    expect(peakRate(rate)).toBe(5000);
    expect(meanRate(rate)).toBeCloseTo((10_000 + 150_000) / 70);
    for (const wrong of ['', '0', '-1', 'x', '1000:', '1000:5', '1000:0s', '0:5s', '1..2', '1000:5s,'])
      expect(parseRate(wrong), wrong).toBeUndefined();
  });

  test('have their requests when the area below the rate has come to as many', () => {
    const due = dueIn([
      { from: 100, to: 100, seconds: 1 },
      { from: 0, to: 200, seconds: 2 },
      { from: 200, to: 0, seconds: 2 },
    ]);
    const at = [0, 50, 100, 150, 200, 300, 350, 499.9].map(due);
    expect(at[0]).toBe(0);
    expect(at[1]).toBeCloseTo(0.5);
    expect(at[2]).toBeCloseTo(1);
    // 50 t² requests after t seconds of the ramp up.
    expect(at[3]).toBeCloseTo(2);
    expect(at[4]).toBeCloseTo(1 + Math.SQRT2);
    expect(at[5]).toBeCloseTo(3);
    // 200 t − 50 t² of the ramp down.
    expect(at[6]).toBeCloseTo(3 + 2 - Math.sqrt(3));
    expect(at[7]).toBeGreaterThan(4.9);
    expect([500, 501].map(due)).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  });
});

testOnEngines('steps and ramps send what they ask for, and are told one by one', async (engine) => {
  const echo = await startEcho((socket, chunk) => void socket.write(chunk));
  try {
    for (const arrival of ['constant', 'poisson']) {
      const { requests, schedule, steps, latencyUs } = await loadEcho([
        ...['--server', echo.address, '--engine', engine, '--threads', '2', '--concurrency', '8'],
        ...['--requests-per-connection', 'unlimited', '--warmup', '0', '--arrival', arrival],
        ...['--rate', '400:0.5s,0..1600:0.5s,200:1s'],
      ]);
      expect(schedule?.rate).toBe(400);
      const asked = (schedule?.sent ?? 0) + (schedule?.unsent ?? 0);
      // Poisson's process has about as many in a window.
      const about = arrival === 'constant' ? 2 : 120;
      expect(Math.abs(asked - 800), `${asked} of 800 requests`).toBeLessThanOrEqual(about);
      expect(steps?.map(({ from, to }) => [from, to])).toEqual([
        [400, 400],
        [0, 1600],
        [200, 200],
      ]);
      const answered = steps?.reduce((sum, step) => sum + step.requests, 0);
      expect(answered).toBe(requests.total);
      expect(steps?.[1]?.latencyUs.corrected?.p99).toBeLessThanOrEqual(latencyUs.corrected?.max ?? 0);
    }
  } finally {
    await echo.stop();
  }
});

test.each([
  [['--rate', '1000:5'], 'must be requests a second above 0, or steps'],
  [['--rate', '1000:1s', '--duration', '2'], 'the steps of --rate say how long it takes'],
  [['--rate', '9000000:1m'], 'shorter or slower'],
])('%s is refused with a sentence', async (args, sentence) => {
  const { stderr, exitCode } = await runEchoLoad(['--server', '127.0.0.1:1', ...args]);
  expect(stderr).toContain(sentence);
  expect(exitCode).toBe(2);
});
