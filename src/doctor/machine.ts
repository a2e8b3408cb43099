import type { MachineDescription } from '../host/machine.js';
import type { Finding } from './finding.js';

/** The machine itself, as a results file describes it. */
export function machineFindings(machine: MachineDescription): Finding[] {
  const system = `${machine.distribution}, Node.js ${machine.versions.node}`;
  return [
    { area: 'machine', name: 'system', state: 'yes', detail: system },
    { area: 'machine', name: 'Linux', state: 'yes', detail: `${machine.kernel}, ${machine.architecture}` },
    cpuFinding(machine),
  ];
}

function cpuFinding({ cpus, cpuModel, virtualization }: MachineDescription): Finding {
  const detail = `${cpus} x ${cpuModel}, virtualization: ${virtualization}`;
  const base = { area: 'machine', name: 'CPUs', detail } as const;
  if (cpus >= 4) return { ...base, state: 'yes' };
  if (cpus === 1) return { ...base, state: 'limited', cost: 'partition (P) has nothing to part on one CPU' };
  const cost = 'server and clients share CPUs, so throughput has the clients’ work in it';
  return { ...base, state: 'limited', cost };
}
