import { describe, expect, test } from 'vitest';
import { allowedCpus } from '../../src/base/cpus.js';
import {
  accumulated,
  again,
  baseline,
  parseVariant,
  reuseport,
} from '../../src/bench/application/variant.js';
import { findApplication } from '../../src/bench/applications.js';
import { parseCores, parseLengths, parseRates, parseSizes, parseTime } from '../../src/bench/lists.js';
import { makePlan, ordersLeft, ordersOf, ordersOfRound, type PlanChoices } from '../../src/bench/plan.js';
import { headlineMetrics } from '../../src/metrics/log-ratios.js';
import { type Phase, type Point, pointKey, sampleKey } from '../../src/results/schema.js';
import { choices } from './choices.js';

const memcached = findApplication('memcached');
const nginx = findApplication('nginx');
const echo = findApplication('echo');
const cpus = allowedCpus().length;

describe('a variant', () => {
  test.each(['baseline', 'reuseport', 'uring', 'uring+P', 'uring+PB', 'epoll+PBL', 'kernel+L'])(
    '%s keeps its name',
    (id) => {
      expect(parseVariant(id).id).toBe(id);
    },
  );

  test('has a threshold of 1 unless it batches', () => {
    expect(parseVariant('uring+PL').batch).toBe(1);
    expect(parseVariant('uring+PBL').batch).toBe(32);
    expect(baseline.batch).toBeNull();
  });

  test.each(['', 'select', 'uring+', 'uring+X', 'uring+P+B', 'baseline+P'])(
    '"%s" is refused by name',
    (id) => {
      expect(() => parseVariant(id)).toThrow(`there is no variant "${id}"`);
    },
  );

  test('accumulates techniques in the paper’s order', () => {
    expect(accumulated('epoll').map(({ id }) => id)).toEqual(['epoll+P', 'epoll+PB', 'epoll+PBL']);
  });
});

describe('a plan', () => {
  test('of the paper’s nginx has no reuseport, which came later', () => {
    const idsIn = (version?: string) =>
      (['quick', 'full'] as const).flatMap((preset) =>
        makePlan(findApplication('nginx', version), { ...choices, preset }).phases.flatMap(({ variants }) =>
          variants.map(({ id }) => id),
        ),
      );
    expect(idsIn()).toContain('reuseport');
    expect(idsIn('1.0.15')).not.toContain('reuseport');
    const asked = () =>
      makePlan(findApplication('nginx', '1.0.15'), { ...choices, variants: [parseVariant('reuseport')] });
    expect(asked).toThrow('nginx has no variant reuseport');
  });

  test('of the full run has the paper’s points, every technique on an engine and the others whole', () => {
    const [main] = makePlan(memcached, { ...choices, preset: 'full' }).phases;
    expect(main?.points.map((point) => point.requestsPerConnection)).toEqual([
      1,
      2,
      4,
      8,
      16,
      32,
      64,
      128,
      'unlimited',
    ]);
    expect(main?.variants.map(({ id }) => id)).toEqual([
      'baseline',
      ...['uring+P', 'uring+PB', 'uring+PBL'],
      'epoll+PBL',
    ]);
  });

  test('of the quick run has enough rounds for intervals that decide', () => {
    for (const application of [memcached, nginx, echo])
      for (const { samples } of makePlan(application, choices).phases)
        expect(samples).toBeGreaterThanOrEqual(5);
  });

  test('always has the baseline, which every ratio is to', () => {
    const { phases, preset } = makePlan(memcached, { ...choices, variants: [parseVariant('uring+P')] });
    expect(phases[0]?.variants.map(({ id }) => id)).toEqual(['baseline', 'uring+P']);
    expect(preset).toBe('custom');
  });
});

describe('a plan of the microbenchmark', () => {
  const { phases } = makePlan(echo, { ...choices, preset: 'full' });
  const valuesOf = (field: 'messageBytes' | 'requestsPerConnection' | 'cores') =>
    new Set(phases.flatMap(({ points }) => points.map((point) => point[field])));

  test('has the rivals that an honest comparison needs', () => {
    const ids = phases[0]?.variants.map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining(['baseline', 'reuseport', 'steered', 'sleep', 'raw']));
    expect(ids).toEqual(expect.arrayContaining(['uring+P', 'uring+PB', 'uring+PBL', 'epoll+PBL']));
  });

  test('has the axes of the paper’s Fig. 1, 3 and 4', () => {
    expect([...valuesOf('requestsPerConnection')]).toEqual(expect.arrayContaining([1, 8, 128, 'unlimited']));
    expect([...valuesOf('messageBytes')]).toEqual(expect.arrayContaining([64, 1024, 65_536]));
    expect(Math.max(...[...valuesOf('cores')].map(Number))).toBe(cpus);
    expect(phases.map(({ topology }) => topology)).toEqual(expect.arrayContaining(['one-core', 'netns-3']));
  });

  test.each(['quick', 'full'] as const)('has one core and all in the same rounds: %s', (preset) => {
    const plan = makePlan(echo, { ...choices, preset });
    const over = plan.phases.find(({ about }) => about.startsWith('cores'));
    const cores = over?.points.flatMap((point) =>
      point.messageBytes === 64 && point.requestsPerConnection === 10 ? [point.cores] : [],
    );
    expect(cores).toEqual(expect.arrayContaining([1, cpus]));
  });
});

describe('a plan of nginx', () => {
  const main = (changes: Partial<PlanChoices> = {}) => makePlan(nginx, { ...choices, ...changes }).phases[0];
  const coresOf = (phase: Phase | undefined) => [...new Set(phase?.points.map(({ cores }) => cores))];

  test('of the full run is the paper’s Fig. 7 with today’s rival: every workload on every number of cores', () => {
    const phase = main({ preset: 'full' });
    expect([...new Set(phase?.points.map(({ workload }) => workload))]).toEqual([
      'specweb',
      'yahoo',
      'yahoo/2',
    ]);
    expect(coresOf(phase)[0]).toBe(1);
    expect(coresOf(phase).at(-1)).toBe(cpus);
    expect(phase?.points).toHaveLength(3 * coresOf(phase).length);
    expect(phase?.variants.slice(0, 2)).toEqual([baseline, reuseport]);
    expect(phase?.variants).toHaveLength(2 + 3 + 1);
  });

  test('of the quick run has every workload on all cores, and the rivals', () => {
    expect(coresOf(main())).toEqual([cpus]);
    expect(main()?.points).toHaveLength(3);
    const { phases } = makePlan(nginx, choices);
    const ids = new Set(phases.flatMap(({ variants }) => variants.map(({ id }) => id)));
    expect([...ids]).toEqual(['baseline', 'uring+PBL', 'reuseport', 'epoll+PBL']);
  });

  test('takes cores and workloads as they are chosen', () => {
    const phase = main({ grid: { cores: [1], workload: ['yahoo'] } });
    expect(phase?.points).toHaveLength(1);
    expect(phase?.points[0]).toMatchObject({ workload: 'yahoo', requestsPerConnection: null, cores: 1 });
    expect(coresOf(main({ grid: { cores: 'each' } }))).toContain(cpus);
  });

  test('is refused for more cores than there are', () => {
    expect(() => main({ grid: { cores: [1, cpus + 1] } })).toThrow(
      `--cores ${cpus + 1}: on loopback the server has`,
    );
  });
});

describe('what means nothing to an application', () => {
  test.each([
    [nginx, { grid: { requestsPerConnection: [1] } }, 'nginx has no choice of --requests-per-connection'],
    [nginx, { grid: { workload: ['etc'] } }, 'nginx has no workload "etc"'],
    [memcached, { grid: { workload: ['yahoo'] } }, 'memcached has no choice of --workloads'],
    [memcached, { grid: { messageBytes: [64] } }, 'memcached has no choice of --message-sizes'],
    [memcached, { variants: [reuseport] }, 'memcached has no variant reuseport'],
  ] satisfies [typeof nginx, Partial<PlanChoices>, string][])(
    'is refused by name: %#',
    (application, changes, message) => {
      expect(() => makePlan(application, { ...choices, ...changes })).toThrow(message);
    },
  );

  test.each(['0', '1.5', 'some', '1,,2', ''])('"%s" is no number of cores', (list) => {
    expect(() => parseCores(list)).toThrow(/is not a number of cores/);
  });
});

describe('the order of samples', () => {
  const at = (requests: number | 'unlimited') => ({
    workload: 'memaslap',
    requestsPerConnection: requests,
    messageBytes: null,
    cores: 2,
    connections: 256,
    rate: null,
  });
  const phase: Phase = {
    about: 'requests a connection',
    firstRound: 7,
    topology: 'loopback',
    variants: [baseline, ...accumulated('uring')],
    points: [at(1), at('unlimited')],
    headline: null,
    tracedPoints: [at(1), at('unlimited')],
    samples: 5,
  };
  const orders = ordersOf(phase, makePlan(memcached, choices), true);
  const timed = orders.filter(({ kind }) => kind === 'timed');

  test('takes every variant of a point once a round, side by side', () => {
    expect(timed).toHaveLength(5 * 2 * 4);
    for (let start = 0; start < timed.length; start += 4) {
      const group = timed.slice(start, start + 4);
      expect(new Set(group.map(({ variant }) => variant.id)).size).toBe(4);
      expect(new Set(group.map(({ round, point }) => `${round} ${point.requestsPerConnection}`)).size).toBe(
        1,
      );
    }
  });

  test('does not let a variant always come first, or always follow the same one', () => {
    const groups = Array.from({ length: 5 }, (_, round) =>
      timed
        .filter((order) => order.round === 7 + round && order.point.requestsPerConnection === 1)
        .map(({ variant }) => variant.id),
    );
    expect(new Set(groups.map(([first]) => first)).size).toBeGreaterThan(2);
    const before = (id: string) => new Set(groups.map((group) => group[group.indexOf(id) - 1]));
    for (const { id } of phase.variants) expect(before(id).size).toBeGreaterThan(1);
  });

  test('traces each point once, after and apart from the timed samples', () => {
    expect(orders.slice(0, timed.length)).toEqual(timed);
    expect(orders.slice(timed.length).every(({ kind }) => kind === 'traced')).toBe(true);
    expect(orders).toHaveLength(timed.length + 2 * 4);
    expect(ordersOf(phase, makePlan(memcached, choices), false)).toHaveLength(timed.length);
  });

  test('leaves out what was taken before', () => {
    const plan = makePlan(memcached, choices);
    const keyOf = (order: (typeof orders)[number]) => sampleKey({ topology: phase.topology, ...order });
    expect(new Set(orders.map(keyOf)).size).toBe(orders.length);
    const taken = new Set(orders.slice(0, 10).map(keyOf));
    expect(ordersLeft(phase, { plan, trace: true, taken })).toEqual(orders.slice(10));
  });
});

describe('what a run is to answer', () => {
  const answers = (changes: Partial<PlanChoices> = {}) =>
    [memcached, nginx, echo].map((application) =>
      makePlan(application, { ...choices, ...changes }).phases.map(({ headline }) => headline),
    );

  test.each(['quick', 'full'] as const)('is one phase of each application: %s', (preset) => {
    for (const [main, ...others] of answers({ preset })) {
      expect(main).toMatchObject({ variant: 'uring+PBL' });
      expect(main?.again).not.toBeNull();
      expect(others.every((headline) => headline === null)).toBe(true);
    }
  });

  test('of the quick run are 18 comparisons', () => {
    const points = [memcached, nginx, echo].flatMap(
      (application) => makePlan(application, choices).phases[0]?.points ?? [],
    );
    expect(points.length * headlineMetrics.length).toBe(18);
  });

  test('is of the variants that the user names, and without the baseline against itself unless that is named', () => {
    const of = (...ids: string[]) => {
      const { phases } = makePlan(memcached, { ...choices, variants: ids.map(parseVariant) });
      return phases[0];
    };
    expect(of('uring', 'epoll+PBL')?.headline).toEqual({ variant: 'epoll+PBL', again: null });
    expect(of('uring+P')?.headline).toEqual({ variant: 'uring+P', again: null });
    expect(of('baseline')?.headline).toBeNull();
    const named = of('uring+P', 'again');
    expect(named?.headline?.again).toEqual(named?.points[1]);
    expect(named?.variants.map(({ id }) => id)).toEqual(['baseline', 'uring+P']);
  });

  test('takes the baseline twice at its point in every round, in other places', () => {
    const plan = makePlan(memcached, choices);
    const [main] = plan.phases as [Phase];
    const rounds = Array.from({ length: 6 }, (_, round) => ordersOfRound(main, plan, round, main.points));
    for (const orders of rounds) {
      const twins = orders.filter(({ variant }) => variant.id === again.id);
      expect(twins.map(({ point }) => point)).toEqual([main.headline?.again]);
      expect(orders).toHaveLength(3 * 2 + 1);
      // A round's variants are loaded alike, and another round's are not.
      expect(new Set(orders.map(({ seed }) => seed)).size).toBe(1);
    }
    expect(new Set(rounds.map(([first]) => first?.seed)).size).toBe(6);
    expect(new Set(rounds.map(([first]) => pointKey(first?.point as Point))).size).toBe(3);
    const places = rounds.map((orders) => orders.filter(({ point }) => point === main.headline?.again));
    expect(new Set(places.map((own) => own.findIndex(({ variant }) => variant.id === again.id))).size).toBe(
      3,
    );
  });
});

describe('the time that a run takes', () => {
  test('is bounded in a quick one, unless so many rounds are asked for', () => {
    const budgetOf = (changes: Partial<PlanChoices>) => makePlan(echo, { ...choices, ...changes }).budgetMs;
    expect(budgetOf({})).toBe(160_000);
    expect(budgetOf({ budgetMs: 1000 })).toBe(1000);
    expect(budgetOf({ samples: 2 })).toBeNull();
    expect(budgetOf({ preset: 'full' })).toBeNull();
    expect(budgetOf({ preset: 'full', budgetMs: 1000 })).toBe(1000);
  });

  test('is that of all points traced only where there is no budget', () => {
    const traced = (changes: Partial<PlanChoices>) =>
      makePlan(echo, { ...choices, ...changes }).phases[0]?.tracedPoints.length;
    expect(traced({})).toBe(1);
    expect(traced({ samples: 2 })).toBe(3);
  });

  test('is read with its unit', () => {
    expect(['90s', '8m', '1.5h'].map((text) => parseTime('--budget', text))).toEqual([90e3, 480e3, 5.4e6]);
    for (const text of ['', '8', '0s', '-1m', '8 m', 'm', '1d'])
      expect(() => parseTime('--budget', text)).toThrow(`--budget ${text} is no time`);
  });
});

describe('what the command line gives as a list', () => {
  test('is read as numbers, and by its words', () => {
    expect(parseLengths('1,10,unlimited')).toEqual([1, 10, 'unlimited']);
    expect(parseSizes('64,1024')).toEqual([64, 1024]);
    expect(parseRates('none,20000')).toEqual([null, 20_000]);
  });

  test.each(['0', '-1', '1.5', 'many', '1,,2', ''])('"%s" is refused', (list) => {
    expect(() => parseLengths(list)).toThrow(/is not a number of requests per connection/);
    expect(() => parseSizes(list)).toThrow(/is not a size in bytes/);
    expect(() => parseRates(list)).toThrow(/is not a rate/);
  });
});

describe('the phases of a plan', () => {
  test('have no round in common', () => {
    const { phases } = makePlan(memcached, { ...choices, preset: 'full' });
    const rounds = phases.flatMap((phase) => [
      ...new Set(ordersOf(phase, makePlan(memcached, choices), true).map(({ round }) => round)),
    ]);
    expect(new Set(rounds).size).toBe(rounds.length);
  });

  test('of the full run have the connections of the paper’s Fig. 6, in both loops', () => {
    const { phases } = makePlan(memcached, { ...choices, preset: 'full' });
    const latency = phases.find(({ about }) => about.startsWith('latency'));
    const numbers = new Set(latency?.points.map(({ connections }) => connections));
    expect(Math.min(...numbers)).toBeLessThanOrEqual(72);
    expect(Math.max(...numbers)).toBeGreaterThanOrEqual(768);
    expect(new Set(latency?.points.map(({ rate }) => rate === null)).size).toBe(2);
  });

  test('have each point once', () => {
    for (const { points } of makePlan(memcached, { ...choices, preset: 'full' }).phases)
      expect(new Set(points.map(pointKey)).size).toBe(points.length);
  });

  test('are one for each topology where points are chosen', () => {
    const { phases } = makePlan(memcached, { ...choices, grid: { connections: [32] } });
    const topologies = phases.map(({ topology }) => topology);
    expect(new Set(topologies).size).toBe(topologies.length);
    expect(phases[0]?.points.every(({ connections }) => connections === 32)).toBe(true);
  });
});
