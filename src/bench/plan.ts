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
import { again, fineGrained } from './application/variant.js';
import type { SampleOrder } from './sample.js';

/** A whole run: one phase after another. */
export type Plan = {
  preset: string;
  phases: Phase[];
  durationMs: number;
  warmupMs: number;
  /** Null: all rounds are taken, however long that takes. */
  budgetMs: number | null;
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
  /** Of time, for this application. */
  budgetMs: number | undefined;
  durationMs: number | undefined;
};

/** What the quick run takes for an application at most, so that three take eight minutes. */
const quickBudgetMs = 160_000;

/** Rounds of headline comparisons where time is what ends them. */
const mostRounds = 200;

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
  const specs = (chosen ?? preset.phases).map((spec, index) => ({
    ...spec,
    headline: index === 0 && spec.headline,
  }));
  const budgetMs = budgetOf(choices);
  const phases = specs.map((spec) => phaseOf(spec, application, choices, budgetMs));
  return {
    preset: isCustom(choices) ? 'custom' : choices.preset,
    phases: numbered(isChosen(choices.grid) ? firstOfEach(phases) : phases),
    durationMs: choices.durationMs ?? preset.durationMs,
    warmupMs: preset.warmupMs,
    budgetMs,
  };
}

/** A number of rounds that is asked for is taken, whatever the time. */
function budgetOf({ preset, samples, budgetMs }: PlanChoices): number | null {
  if (samples !== undefined) return null;
  return budgetMs ?? (preset === 'quick' ? quickBudgetMs : null);
}

function phaseOf(
  { about, topology, variants, grids, samples, headline }: PhaseSpec,
  application: Application,
  choices: PlanChoices,
  budgetMs: number | null,
): Phase {
  const all = grids.flatMap((grid) => pointsOf({ ...grid, ...choices.grid }, topology));
  const points = [...new Map(all.map((point) => [pointKey(point), point])).values()];
  const asked = choices.variants ?? variants;
  const own = withForms(withBaseline(application, asked.filter(isNotAgain)), choices);
  const answer = headline ? headlineOf(own, points, choices.variants) : null;
  return {
    about,
    topology,
    variants: own,
    points,
    headline: answer,
    tracedPoints: budgetMs === null ? points : [middleOf(points)],
    samples: choices.samples ?? (budgetMs !== null && answer ? mostRounds : samples),
    firstRound: 0,
  };
}

const isNotAgain = ({ id }: Variant) => id !== again.id;

const middleOf = (points: Point[]) => points[Math.floor(points.length / 2)] as Point;

/**
 * What a run is to answer: the first variant with all techniques, or else the first rival, against the baseline. Where
 * the user names the variants, the baseline meets itself if `again` is one of them.
 */
function headlineOf(
  [baseline, ...others]: Variant[],
  points: Point[],
  named: Variant[] | undefined,
): Phase['headline'] {
  const answer = others.find(({ techniques }) => techniques.length === 3) ?? others.at(0);
  if (!baseline || !answer) return null;
  const meetsItself = named === undefined || !named.every(isNotAgain);
  return { variant: answer.id, again: meetsItself ? middleOf(points) : null };
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
    (one) => one.server === 'baseline' && isNotAgain(one) && !stock.some(({ id }) => id === one.id),
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

function isCustom({
  preset: _preset,
  engines: _engines,
  budgetMs: _budget,
  grid,
  ...rest
}: PlanChoices): boolean {
  return isChosen(grid) || Object.values(rest).some((choice) => choice !== undefined);
}

/** Of a phase's samples those that were not taken before. */
export function ordersLeft(phase: Phase, { plan, trace, taken }: Taking): SampleOrder[] {
  return leftOf(ordersOf(phase, plan, trace), phase, taken);
}

/** A run in the making: what there is to take of its plan, and what is taken already. */
type Taking = { plan: Plan; trace: boolean; taken: ReadonlySet<string> };

export function leftOf(
  orders: SampleOrder[],
  { topology }: Phase,
  taken: ReadonlySet<string>,
): SampleOrder[] {
  return orders.filter((order) => !taken.has(sampleKey({ topology, ...order })));
}

/** The samples of a phase in the order of taking, where all its rounds are taken. */
export function ordersOf(phase: Phase, plan: Plan, trace: boolean): SampleOrder[] {
  const rounds = Array.from({ length: phase.samples }, (_, round) =>
    ordersOfRound(phase, plan, round, phase.points),
  );
  return [...rounds.flat(), ...(trace ? tracedOrders(phase, plan) : [])];
}

/** A round of a phase: these of its points, beginning with another one each time, each with its variants side by side. */
export function ordersOfRound(
  phase: Phase,
  { durationMs, warmupMs }: Plan,
  round: number,
  points: Point[],
): SampleOrder[] {
  const number = phase.firstRound + round;
  const common = {
    round: number,
    kind: 'timed' as const,
    attempt: 1,
    seed: 1 + number,
    durationMs,
    warmupMs,
  };
  return turned(points, round).flatMap((point) =>
    inTurn(variantsAt(phase, point), round).map((variant) => ({ ...common, variant, point })),
  );
}

/** At one of the points the baseline is taken twice. */
function variantsAt({ variants, headline }: Phase, point: Point): Variant[] {
  const twice = headline?.again && pointKey(headline.again) === pointKey(point);
  return twice ? [...variants, again] : variants;
}

/** The samples that count system calls, a round of their own. */
export function tracedOrders(phase: Phase, { durationMs, warmupMs }: Plan): SampleOrder[] {
  const round = phase.firstRound + phase.samples;
  const common = { round, kind: 'traced' as const, attempt: 1, seed: 1 + round, warmupMs };
  return phase.tracedPoints.flatMap((point) =>
    phase.variants.map((variant) => ({
      ...common,
      variant,
      point,
      durationMs: Math.min(durationMs, tracedMs),
    })),
  );
}

/** Every other round goes backwards, and each pair begins with another: no variant always follows the same. */
export function inTurn(variants: Variant[], round: number): Variant[] {
  const directed = round % 2 === 0 ? variants : variants.toReversed();
  return turned(directed, Math.floor(round / 2));
}

/** The same in the same order, beginning with another one each time. */
function turned<T>(all: T[], times: number): T[] {
  const first = times % Math.max(1, all.length);
  return [...all.slice(first), ...all.slice(0, first)];
}
