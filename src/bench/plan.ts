import { UserError } from '../errors.js';
import type { EngineName, Point, RequestsPerConnection, TopologyName, Variant } from '../results.js';
import { describeTopology } from '../topology.js';
import type { Application, Axes, Cores } from './application.js';
import type { SampleOrder } from './sample.js';

/** What to measure on one topology. */
export type Phase = {
  topology: TopologyName;
  variants: Variant[];
  points: Point[];
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
  requestsPerConnection: RequestsPerConnection[] | undefined;
  workloads: string[] | undefined;
  cores: Cores | undefined;
  variants: Variant[] | undefined;
  samples: number | undefined;
  durationMs: number | undefined;
};

/** Counting system calls needs no long window. */
const tracedMs = 1000;

/** The preset with what the user chose; a choice of topologies takes the main phase to each of them. */
export function makePlan(application: Application, choices: PlanChoices): Plan {
  refuseForeign(application, choices);
  const preset = application.preset(choices.preset, choices.engines);
  const [main] = preset.phases;
  const chosen = choices.topologies?.flatMap((topology) => (main ? [{ ...main, topology }] : []));
  const phases = (chosen ?? preset.phases).map(({ topology, variants, axes, samples }) => ({
    topology,
    variants: withBaseline(application, choices.variants ?? variants),
    points: pointsOf(choose(axes, choices), topology),
    samples: choices.samples ?? samples,
  }));
  return {
    preset: isCustom(choices) ? 'custom' : choices.preset,
    phases,
    durationMs: choices.durationMs ?? preset.durationMs,
    warmupMs: preset.warmupMs,
  };
}

/** What means nothing to this application is refused by name, not passed over. */
function refuseForeign({ name, workloads, stock, axis }: Application, choices: PlanChoices): void {
  const refuse = (what: string, hint: string): never => {
    throw new UserError(`${name} has no ${what}`, { hint, exitCode: 2 });
  };
  const workload = choices.workloads?.find((one) => !workloads.includes(one));
  if (workload !== undefined) refuse(`workload "${workload}"`, `it has: ${workloads.join(', ')}`);
  if (choices.requestsPerConnection && axis !== 'requestsPerConnection')
    refuse('choice of requests per connection', 'its workloads have their own: choose with --workloads');
  if (choices.cores && axis !== 'cores') refuse('choice of cores', 'its servers use all: leave --cores out');
  const variant = choices.variants?.find(
    (one) => one.server === 'baseline' && !stock.some(({ id }) => id === one.id),
  );
  if (variant)
    refuse(`variant ${variant.id}`, `over stock I/O it has: ${stock.map(({ id }) => id).join(', ')}`);
}

function choose(axes: Axes, { workloads, cores, requestsPerConnection }: PlanChoices): Axes {
  return {
    workloads: workloads ?? axes.workloads,
    cores: cores ?? axes.cores,
    requestsPerConnection: requestsPerConnection ?? axes.requestsPerConnection,
  };
}

function pointsOf({ workloads, cores, requestsPerConnection }: Axes, topology: TopologyName): Point[] {
  const counts = coreCounts(cores, topology);
  return workloads.flatMap((workload) =>
    counts.flatMap((count) =>
      requestsPerConnection.map((requests) => ({
        workload,
        requestsPerConnection: requests,
        cores: count,
      })),
    ),
  );
}

/** Up to 8 cores each number, as in the paper; beyond, every doubling and all. */
function coreCounts(cores: Cores, topology: TopologyName): number[] {
  const all = describeTopology(topology).server.cpus.length;
  if (cores === 'all') return [all];
  const upward = Array.from({ length: all }, (_, index) => index + 1);
  if (cores === 'each') return upward.filter((n) => n <= 8 || n === all || Number.isInteger(Math.log2(n)));
  const tooMany = cores.find((count) => count > all);
  if (tooMany === undefined) return cores;
  throw new UserError(`--cores ${tooMany}: on ${topology} the server has ${all} here`, {
    hint: `give numbers up to ${all}, or another --topology`,
    exitCode: 2,
  });
}

/** Every ratio is to the baseline of the same round, so there is no run without it. */
function withBaseline({ stock: [baseline] }: Application, variants: Variant[]): Variant[] {
  return variants.some(({ id }) => id === baseline.id) ? variants : [baseline, ...variants];
}

function isCustom({ preset: _preset, engines: _engines, ...rest }: PlanChoices): boolean {
  return Object.values(rest).some((choice) => choice !== undefined);
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

/** Numbers of cores as the command line gives them: `1,2,4`, `all`, `each`. */
export function parseCores(list: string): Cores {
  if (list === 'all' || list === 'each') return list;
  return list.split(',').map((word) => {
    if (/^[1-9]\d{0,4}$/.test(word)) return Number(word);
    throw new UserError(`"${word}" is not a number of cores`, {
      hint: 'give whole numbers from 1, or all, or each: --cores 1,2',
      exitCode: 2,
    });
  });
}

/** The samples of a phase in the order of taking: rounds of all points, each with its variants side by side. */
export function ordersOf(phase: Phase, { durationMs, warmupMs }: Plan, trace: boolean): SampleOrder[] {
  const times = { durationMs, warmupMs };
  const timed = Array.from({ length: phase.samples }, (_, round) =>
    phase.points.flatMap((point) =>
      inTurn(phase.variants, round).map((variant) => ({
        variant,
        point,
        round,
        kind: 'timed' as const,
        ...times,
      })),
    ),
  ).flat();
  const traced = phase.points.flatMap((point) =>
    phase.variants.map((variant) => ({
      variant,
      point,
      round: phase.samples,
      kind: 'traced' as const,
      ...times,
      durationMs: Math.min(durationMs, tracedMs),
    })),
  );
  return trace ? [...timed, ...traced] : timed;
}

/** Every other round goes backwards, and each pair begins with another: no variant always follows the same. */
export function inTurn(variants: Variant[], round: number): Variant[] {
  const directed = round % 2 === 0 ? variants : variants.toReversed();
  const first = Math.floor(round / 2) % variants.length;
  return [...directed.slice(first), ...directed.slice(0, first)];
}
