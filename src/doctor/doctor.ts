import { styleText } from 'node:util';
import { describeMachine, type MachineDescription } from '../host/machine.js';
import { loadPort } from '../port/port.js';
import { engineFindings } from './engines.js';
import type { Finding } from './finding.js';
import { limitFindings } from './limits.js';
import { machineFindings } from './machine.js';
import { rightsFindings } from './rights.js';
import { toolFindings } from './tools.js';

export type Diagnosis = { machine: MachineDescription; findings: Finding[] };

/** Find out what this machine can do. Nothing on it is changed. */
export async function diagnose(): Promise<Diagnosis> {
  const machine = await describeMachine(loadPort('memcached'));
  const groups = await Promise.all([
    machineFindings(machine),
    engineFindings(),
    rightsFindings(),
    limitFindings(),
    toolFindings(),
  ]);
  return { machine, findings: groups.flat() };
}

const marks = { yes: 'yes', limited: 'part', no: 'NO' } as const;
const colours = { yes: 'green', limited: 'yellow', no: 'red' } as const;

/** The diagnosis for a person to read. */
export function formatDiagnosis({ findings }: Diagnosis): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const areas = [...new Set(findings.map(({ area }) => area))];
  const sections = areas.map((area) => {
    const own = findings.filter((finding) => finding.area === area);
    return [styleText('bold', area), ...own.map((finding) => formatFinding(finding, width))].join('\n');
  });
  return sections.join('\n\n');
}

function formatFinding({ name, state, detail, cost, remedy }: Finding, width: number): string {
  const mark = styleText(colours[state], marks[state].padEnd(4));
  const indent = ' '.repeat(width + 9);
  const lines = [`  ${mark}  ${name.padEnd(width)} ${detail}`];
  if (cost) lines.push(`${indent}costs: ${cost}`);
  if (remedy) lines.push(`${indent}do: ${remedy}`);
  return lines.join('\n');
}
