import { UserError } from '../base/errors.js';
import { makeTopology, whyNoTopology } from '../host/topology.js';
import type { SkipRecord, TopologyName, Variant } from '../results/schema.js';
import type { Application, Content } from './application/application.js';
import type { Plan } from './plan.js';
import { checkIdentity } from './sample.js';
import { type ServerContext, startServer } from './server.js';

/** A plan that this machine can carry out, and what had to be left out of it, each with its reason. */
type Prepared = { plan: Plan; skips: SkipRecord[] };

/** What the user asked for by name: an error where it does not work, and no skip. */
export type Named = { variants: boolean; topologies: boolean };

/** Leave out of a plan what does not work here: found out by trying, not by asking for versions. */
export async function preparePlan(
  plan: Plan,
  application: Application,
  content: Content,
  named: Named,
  signal: AbortSignal,
): Promise<Prepared> {
  const context = { application, content, signal, topology: await makeTopology('loopback') };
  const variants = await tryVariants(plan, context);
  const topologies = await tryTopologies(plan);
  const baseline = variants.get('baseline');
  if (baseline) throw new UserError(`the baseline of ${application.name} does not work here: ${baseline}`);
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

async function tryVariants(plan: Plan, context: ServerContext): Promise<Faults> {
  const faults: Faults = new Map();
  const variants = new Map(plan.phases.flatMap((phase) => phase.variants).map((one) => [one.id, one]));
  for (const variant of variants.values()) {
    const why = await whyNoVariant(variant, context);
    if (why) faults.set(variant.id, why);
  }
  return faults;
}

async function whyNoVariant(variant: Variant, context: ServerContext): Promise<string | undefined> {
  try {
    const server = await startServer(context, variant, {
      cores: context.topology.record.server.cpus.length,
    });
    try {
      checkIdentity(variant, await server.identify());
    } finally {
      await server.stop();
    }
    return undefined;
  } catch (error) {
    context.signal.throwIfAborted();
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
