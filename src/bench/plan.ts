import { UserError } from '../errors.js';
import type { EngineName, RequestsPerConnection, TopologyName, Variant } from '../results.js';
import type { SampleOrder } from './sample.js';
import { accumulated, baseline, megapipe } from './variant.js';

/** What to measure on one topology. */
export type Phase = {
  topology: TopologyName;
  variants: Variant[];
  points: RequestsPerConnection[];
  samples: number;
};

/** A whole run: one phase after another. */
export type Plan = {
  preset: 'quick' | 'full' | 'custom';
  phases: Phase[];
  durationMs: number;
  warmupMs: number;
};

/** What the command line may change of a preset. */
export type PlanChoices = {
  preset: 'quick' | 'full';
  engines: EngineName[];
  topologies: TopologyName[] | undefined;
  points: RequestsPerConnection[] | undefined;
  variants: Variant[] | undefined;
  samples: number | undefined;
  durationMs: number | undefined;
};

/** Counting system calls needs no long window. */
const tracedMs = 1000;

const allPoints: RequestsPerConnection[] = [1, 2, 4, 8, 16, 32, 64, 128, 'unlimited'];

/** All techniques: what a user would run. */
const best = (engine: EngineName) => megapipe(engine, ['partition', 'batch', 'lwsocket']);

/**
 * The quick run tells the techniques apart on the first engine alone and shows the others whole; separate hosts get
 * the two rivals.
 */
function presetPhases({ preset, engines }: PlanChoices): Phase[] {
  const wholes = engines.map(best);
  if (preset === 'full') {
    const variants = [baseline, ...engines.flatMap(accumulated)];
    return [
      { topology: 'loopback', variants, points: allPoints, samples: 6 },
      { topology: 'netns-shared', variants: [baseline, ...wholes], points: [1, 8, 'unlimited'], samples: 6 },
      { topology: 'netns', variants: [baseline, ...wholes], points: [1, 8, 'unlimited'], samples: 6 },
    ];
  }
  const [first, ...others] = engines;
  const variants = [baseline, ...(first ? accumulated(first) : []), ...others.map(best)];
  return [
    { topology: 'loopback', variants, points: [1, 10, 'unlimited'], samples: 5 },
    {
      topology: 'netns',
      variants: [baseline, ...wholes.slice(0, 1)],
      points: [1, 10, 'unlimited'],
      samples: 5,
    },
  ];
}

/** The preset with what the user chose; a choice of topologies takes the main phase's variants to each of them. */
export function makePlan(choices: PlanChoices): Plan {
  const presets = presetPhases(choices);
  const chosen = choices.topologies?.map((topology) => ({ ...(presets[0] as Phase), topology })) ?? presets;
  const phases = chosen.map((phase) => ({
    ...phase,
    variants: withBaseline(choices.variants ?? phase.variants),
    points: choices.points ?? phase.points,
    samples: choices.samples ?? phase.samples,
  }));
  const { preset } = choices;
  const quick = preset === 'quick';
  return {
    preset: isCustom(choices) ? 'custom' : preset,
    phases,
    durationMs: choices.durationMs ?? (quick ? 1500 : 4000),
    warmupMs: quick ? 400 : 1000,
  };
}

/** Every ratio is to the baseline of the same round, so there is no run without it. */
function withBaseline(variants: Variant[]): Variant[] {
  return variants.some(({ id }) => id === baseline.id) ? variants : [baseline, ...variants];
}

function isCustom({ topologies, points, variants, samples, durationMs }: PlanChoices): boolean {
  return [topologies, points, variants, samples, durationMs].some((choice) => choice !== undefined);
}

/** Requests per connection as the command line gives them: `1,2,4,unlimited`. */
export function parsePoints(list: string): RequestsPerConnection[] {
  return list.split(',').map((word) => {
    if (word === 'unlimited') return word;
    if (/^[1-9]\d{0,8}$/.test(word)) return Number(word);
    throw new UserError(`"${word}" is not a number of requests per connection`, {
      hint: 'give whole numbers from 1, or unlimited: --requests-per-connection 1,10,unlimited',
      exitCode: 2,
    });
  });
}

/** The samples of a phase in the order of taking: rounds of all points, each with its variants side by side. */
export function ordersOf(phase: Phase, { durationMs, warmupMs }: Plan, trace: boolean): SampleOrder[] {
  const times = { durationMs, warmupMs };
  const timed = Array.from({ length: phase.samples }, (_, round) =>
    phase.points.flatMap((requestsPerConnection) =>
      inTurn(phase.variants, round).map((variant) => ({
        variant,
        requestsPerConnection,
        round,
        kind: 'timed' as const,
        ...times,
      })),
    ),
  ).flat();
  const traced = phase.points.flatMap((requestsPerConnection) =>
    phase.variants.map((variant) => ({
      variant,
      requestsPerConnection,
      round: phase.samples,
      kind: 'traced' as const,
      ...times,
      durationMs: Math.min(durationMs, tracedMs),
    })),
  );
  return trace ? [...timed, ...traced] : timed;
}

/** Every other round goes backwards, and each pair begins with another: no variant always follows the same. */
function inTurn(variants: Variant[], round: number): Variant[] {
  const directed = round % 2 === 0 ? variants : variants.toReversed();
  const first = Math.floor(round / 2) % variants.length;
  return [...directed.slice(first), ...directed.slice(0, first)];
}
