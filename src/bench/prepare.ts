import { UserError } from '../errors.js';
import type { SkipRecord, TopologyName, Variant } from '../results.js';
import { makeTopology, type Topology, whyNoTopology } from '../topology.js';
import type { Application } from './application.js';
import type { Plan } from './plan.js';
import { checkChannels } from './sample.js';
import { startServer } from './server.js';

/** A plan that this machine can carry out, and what had to be left out of it, each with its reason. */
export type Prepared = { plan: Plan; skips: SkipRecord[] };

/** What the user asked for by name: an error where it does not work, and no skip. */
export type Named = { variants: boolean; topologies: boolean };

/** Leave out of a plan what does not work here: found out by trying, not by asking for versions. */
export async function preparePlan(
  plan: Plan,
  application: Application,
  named: Named,
  signal: AbortSignal,
): Promise<Prepared> {
  const variants = await tryVariants(plan, application, signal);
  const topologies = await tryTopologies(plan);
  const baseline = variants.get('baseline');
  if (baseline) throw new UserError(`the baseline does not work here: ${baseline}`);
  if (named.variants) refuse('variant', variants, 'leave it out of --variants or --engines');
  if (named.topologies) refuse('topology', topologies, 'use --topology loopback');
  const phases = plan.phases
    .filter(({ topology }) => !topologies.has(topology))
    .map((phase) => ({ ...phase, variants: phase.variants.filter(({ id }) => !variants.has(id)) }));
  return {
    plan: { ...plan, phases },
    skips: [...skips('variant', variants), ...skips('topology', topologies)],
  };
}

/** Why something does not work here, by its name. */
type Faults = Map<string, string>;

async function tryVariants(plan: Plan, application: Application, signal: AbortSignal): Promise<Faults> {
  const faults: Faults = new Map();
  const variants = new Map(plan.phases.flatMap((phase) => phase.variants).map((one) => [one.id, one]));
  const topology = await makeTopology('loopback');
  for (const variant of variants.values()) {
    const why = await whyNoVariant(variant, application, topology, signal);
    if (why) faults.set(variant.id, why);
  }
  return faults;
}

async function whyNoVariant(
  variant: Variant,
  application: Application,
  topology: Topology,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const server = await startServer(application, variant, topology, signal);
    const channels = application.channels.read(await server.ask(application.channels.words));
    await server.stop();
    checkChannels(variant, channels);
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return (error as Error).message;
  }
}

async function tryTopologies(plan: Plan): Promise<Faults> {
  const faults: Faults = new Map();
  for (const name of new Set<TopologyName>(plan.phases.map(({ topology }) => topology))) {
    const why = await whyNoTopology(name);
    if (why) faults.set(name, why);
  }
  return faults;
}

function refuse(kind: string, faults: Faults, hint: string): void {
  const [first] = faults;
  if (first) throw new UserError(`${kind} ${first[0]} does not work here: ${first[1]}`, { hint });
}

function skips(kind: string, faults: Faults): SkipRecord[] {
  return [...faults].map(([name, reason]) => ({ type: 'skip', what: `${kind} ${name}`, reason }));
}
