import { describeMachine } from '../host/machine.js';
import { describeTopology } from '../host/topology.js';
import { readLines } from '../port/lines.js';
import type { MachineRecord, Priority } from '../results/schema.js';
import type { Application, Content } from './application/application.js';
import type { Plan } from './plan.js';

/** Where and what a run measures, for its record. */
export async function describeRun(
  application: Application,
  content: Pick<Content, 'parameters'>,
  { phases }: Pick<Plan, 'phases'>,
  priority: Priority,
): Promise<Omit<MachineRecord, 'type' | 'format' | 'startedAt' | 'plan'>> {
  const port = application.port?.();
  return {
    ...(await describeMachine(port)),
    priority,
    topologies: [...new Set(phases.map(({ topology }) => topology))].map(describeTopology),
    workload: {
      application: application.name,
      description: application.workload,
      parameters: { ...application.parameters, ...content.parameters },
      serverArguments: application.commonArguments,
      lines: port ? readLines(port) : null,
    },
  };
}
