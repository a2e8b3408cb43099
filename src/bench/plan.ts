import { UserError } from '../base/errors.js';
import { describeTopology } from '../host/topology.js';
import {
  type EngineName,
  type Phase,
  type Point,
  pointKey,
  sampleKey,
  type TopologyName,
  type Variant,
} from '../results/schema.js';
import type { Application, Cores, Grid, PhaseSpec } from './application/application.js';
import { fineGrained } from './application/variant.js';
import type { SampleOrder } from './sample.js';

/** A whole run: one phase after another. */
export type Plan = {
  preset: string;
  phases: Phase[];
  durationMs: number;
  warmupMs: number;
};

/** What the command line may change of a preset. */
export type PlanChoices = {
  preset: 'quick' | 'full';
  engines: EngineName[];
  topologies: TopologyName[] | undefined;
  /** What of the points is chosen. */
  grid: Partial<Grid>;
  variants: Variant[] | undefined;
  /** Whether each variant is measured in its -FL form, too. */
  fineGrainedLocks: boolean | undefined;
  samples: number | undefined;
  durationMs: number | undefined;
};

/** Counting system calls needs no long window. */
const tracedMs = 1000;

/**
 * The preset with what the user chose. A choice of topologies takes the first phase to each of them; a choice of points
 * leaves one phase of each topology.
 */
export function makePlan(application: Application, choices: PlanChoices): Plan {
  refuseForeign(application, choices);
  const preset = application.preset(choices.preset, choices.engines);
  const [main] = preset.phases;
  const chosen = choices.topologies?.flatMap((topology) => (main ? [{ ...main, topology }] : []));
  const phases = (chosen ?? preset.phases).map((spec) => phaseOf(spec, application, choices));
  return {
    preset: isCustom(choices) ? 'custom' : choices.preset,
    phases: numbered(isChosen(choices.grid) ? firstOfEach(phases) : phases),
    durationMs: choices.durationMs ?? preset.durationMs,
    warmupMs: preset.warmupMs,
  };
}

function phaseOf(
  { about, topology, variants, grids, samples }: PhaseSpec,
  application: Application,
  choices: PlanChoices,
): Phase {
  const points = grids.flatMap((grid) => pointsOf({ ...grid, ...choices.grid }, topology));
  return {
    about,
    topology,
    variants: withForms(withBaseline(application, choices.variants ?? variants), choices),
    points: [...new Map(points.map((point) => [pointKey(point), point])).values()],
    headline: null,
    tracedPoints: [...new Map(points.map((point) => [pointKey(point), point])).values()],
    samples: choices.samples ?? samples,
    firstRound: 0,
  };
}

const isChosen = (grid: Partial<Grid>) => Object.values(grid).some((choice) => choice !== undefined);

function firstOfEach(phases: Phase[]): Phase[] {
  const first = (topology: TopologyName) => phases.findIndex((phase) => phase.topology === topology);
  return phases.filter((phase, index) => first(phase.topology) === index);
}

/** Samples of one round are compared, so no two phases have a round in common. Each has one more for traced samples. */
function numbered(phases: Phase[]): Phase[] {
  const before = (index: number) => phases.slice(0, index).reduce((sum, { samples }) => sum + samples + 1, 0);
  return phases.map((phase, index) => ({ ...phase, firstRound: before(index) }));
}

const optionOf: Record<keyof Grid, string> = {
  workload: '--workloads',
  requestsPerConnection: '--requests-per-connection',
  messageBytes: '--message-sizes',
  cores: '--cores',
  connections: '--connections',
  rate: '--rates',
};

/** What means nothing to this application is refused by name, not passed over. */
function refuseForeign(application: Application, { grid, variants, fineGrainedLocks }: PlanChoices): void {
  const { name, workloads, stock, techniques, varies } = application;
  if (fineGrainedLocks || variants?.some((one) => one.fineGrainedLocks)) refuseFineGrained(application);
  const refuse = (what: string, hint: string): never => {
    throw new UserError(`${name} has no ${what}`, { hint, exitCode: 2 });
  };
  const foreign = (Object.keys(grid) as (keyof Grid)[]).find((field) => !varies.includes(field));
  if (foreign)
    refuse(
      `choice of ${optionOf[foreign]}`,
      `its points can be chosen with ${varies.map((field) => optionOf[field]).join(', ')}`,
    );
  const workload = grid.workload?.find((one) => !workloads.includes(one));
  if (workload !== undefined) refuse(`workload "${workload}"`, `it has: ${workloads.join(', ')}`);
  const variant = variants?.find(
    (one) => one.server === 'baseline' && !stock.some(({ id }) => id === one.id),
  );
  if (variant)
    refuse(`variant ${variant.id}`, `over stock I/O it has: ${stock.map(({ id }) => id).join(', ')}`);
  const technique = variants?.flatMap((one) => one.techniques).find((one) => !techniques.includes(one));
  if (technique) refuse(`technique ${technique}`, `it has: ${techniques.join(', ') || 'none'}`);
}

/** Asked for item locks alone: an error where the application, in its version, has no other locks to do without. */
export function refuseFineGrained({ name, version, fineGrainedLocks }: Application): void {
  if (fineGrainedLocks) return;
  const which = version === undefined ? name : `${name} ${version}`;
  throw new UserError(`${which} has no form with fine-grained locks only (-FL)`, {
    hint: 'memcached 1.4.13 has: --version 1.4.13',
    exitCode: 2,
  });
}

function pointsOf(grid: Grid, topology: TopologyName): Point[] {
  const cores = coreCounts(grid.cores, topology);
  return product({ ...grid, cores });
}

/** All combinations; the field that comes last changes the fastest. */
function product(lists: { [Field in keyof Point]: Point[Field][] }): Point[] {
  return (Object.keys(lists) as (keyof Point)[]).reduce<Partial<Point>[]>(
    (partial, field) => partial.flatMap((one) => lists[field].map((value) => ({ ...one, [field]: value }))),
    [{}],
  ) as Point[];
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

function withForms(variants: Variant[], { fineGrainedLocks }: PlanChoices): Variant[] {
  if (!fineGrainedLocks) return variants;
  const forms = variants.filter((one) => !one.fineGrainedLocks).map(fineGrained);
  return [...variants, ...forms.filter(({ id }) => !variants.some((one) => one.id === id))];
}

function isCustom({ preset: _preset, engines: _engines, grid, ...rest }: PlanChoices): boolean {
  return isChosen(grid) || Object.values(rest).some((choice) => choice !== undefined);
}

/** Of a phase's samples those that were not taken before. */
export function ordersLeft(phase: Phase, { plan, trace, taken }: Taking): SampleOrder[] {
  const orders = ordersOf(phase, plan, trace);
  return orders.filter((order) => !taken.has(sampleKey({ topology: phase.topology, ...order })));
}

/** A run in the making: what there is to take of its plan, and what is taken already. */
type Taking = { plan: Plan; trace: boolean; taken: ReadonlySet<string> };

/** The samples of a phase in the order of taking: rounds of all points, each with its variants side by side. */
export function ordersOf(phase: Phase, { durationMs, warmupMs }: Plan, trace: boolean): SampleOrder[] {
  const times = { attempt: 1, durationMs, warmupMs };
  const timed = Array.from({ length: phase.samples }, (_, round) =>
    phase.points.flatMap((point) =>
      inTurn(phase.variants, round).map((variant) => ({
        variant,
        point,
        round: phase.firstRound + round,
        kind: 'timed' as const,
        ...times,
      })),
    ),
  ).flat();
  const traced = phase.points.flatMap((point) =>
    phase.variants.map((variant) => ({
      variant,
      point,
      round: phase.firstRound + phase.samples,
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
