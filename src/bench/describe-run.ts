import { portNames } from '../port.js';
import { readLines } from '../port-lines.js';
import { loadPortVersion } from '../port-version.js';
import type { MachineRecord } from '../results.js';
import { describeTopology } from '../topology.js';
import type { Application, Content } from './application.js';
import { describeMachine } from './machine.js';
import type { Plan } from './plan.js';

/** Where and what a run measures, for its record. */
export async function describeRun(
  application: Application,
  content: Pick<Content, 'parameters'>,
  { phases }: Pick<Plan, 'phases'>,
): Promise<Omit<MachineRecord, 'type' | 'format' | 'startedAt' | 'plan'>> {
  const { name, version } = application;
  return {
    ...(await describeMachine(name, version)),
    topologies: [...new Set(phases.map(({ topology }) => topology))].map(describeTopology),
    workload: {
      application: name,
      description: application.workload,
      parameters: { ...application.parameters, ...content.parameters },
      serverArguments: application.commonArguments,
      lines: portNames().includes(name) ? readLines(loadPortVersion(name, version)) : null,
    },
  };
}
