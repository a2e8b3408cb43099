import type { MachineRecord, Point, Results, Variant } from '../results/schema.js';
import type { Cell, Section } from './model.js';
import type { Estimate } from './statistics.js';
import { summarize } from './summary.js';

/** What is set side by side of two runs. */
const sideBySide = ['throughput', 'serverCpuUs', 'p99Us'] as const;
export type SideBySide = (typeof sideBySide)[number];

/** One variant at one point, in both runs. */
export type Pair = {
  point: Point;
  variant: Variant;
  first: Cell;
  second: Cell;
  /** Of the second run to the first. */
  ratios: Record<SideBySide, Estimate | undefined>;
};

/** What both runs have of one application on one topology, in one view. */
export type SharedSection = { first: Section; second: Section; pairs: Pair[] };

/** Two runs of one application. */
export type Comparison = {
  application: string;
  first: MachineRecord;
  second: MachineRecord;
  differences: Difference[];
  sections: SharedSection[];
};

/** Something that is not the same for both, and so may be why their numbers differ. */
export type Difference = { what: string; first: string; second: string };

/** Set two files' runs side by side, application by application; those that only one of them has are left out. */
export function compareRuns(first: Results[], second: Results[]): Comparison[] {
  return first.flatMap((one) => {
    const { application } = one.machine.workload;
    const other = second.find(({ machine }) => machine.workload.application === application);
    return other ? [compareRun(application, one, other)] : [];
  });
}

function compareRun(application: string, first: Results, second: Results): Comparison {
  const others = summarize(second);
  const sections = summarize(first).flatMap((section) => {
    const other = others.find(
      ({ topology, view }) => topology.name === section.topology.name && view.title === section.view.title,
    );
    const pairs = other ? pairsOf(section, other) : [];
    return other && pairs.length > 0 ? [{ first: section, second: other, pairs }] : [];
  });
  const machines = { first: first.machine, second: second.machine };
  return { application, ...machines, differences: differencesOf(first.machine, second.machine), sections };
}

function pairsOf(first: Section, second: Section): Pair[] {
  return first.cells.flatMap((cell) => {
    const { point, variant } = cell;
    const other = second.cell(variant.id, point);
    if (!other) return [];
    const ratio = (key: SideBySide) => ratioOf(cell[key], other[key]);
    const ratios = {
      throughput: ratio('throughput'),
      serverCpuUs: ratio('serverCpuUs'),
      p99Us: ratio('p99Us'),
    };
    return [{ point, variant, first: cell, second: other, ratios }];
  });
}

/**
 * Two runs have no rounds in common, so what differs between their times does not cancel out: the interval reaches from
 * the least that both intervals allow to the most.
 */
function ratioOf(first: Estimate | undefined, second: Estimate | undefined): Estimate | undefined {
  if (!first || !second || first.low <= 0) return undefined;
  return {
    median: second.median / first.median,
    low: second.low / first.high,
    high: second.high / first.low,
    coverage: Math.min(first.coverage, second.coverage),
    samples: Math.min(first.samples, second.samples),
  };
}

function differencesOf(first: MachineRecord, second: MachineRecord): Difference[] {
  const [one, other] = [factsOf(first), factsOf(second)];
  const names = [...new Set([...one.keys(), ...other.keys()])];
  return names.flatMap((what) => {
    const [a, b] = [one.get(what) ?? 'none', other.get(what) ?? 'none'];
    return a === b ? [] : [{ what, first: a, second: b }];
  });
}

function factsOf({
  plan,
  workload,
  versions,
  sysctls,
  mitigations,
  priority,
  ...machine
}: MachineRecord): Map<string, string> {
  const { topologies: _topologies, type: _type, format: _format, startedAt, memoryBytes, ...rest } = machine;
  const entries: [string, string | number][] = [
    ['started', startedAt],
    ['memory', `${(memoryBytes / 2 ** 30).toFixed(1)} GiB`],
    ...Object.entries(rest),
    ...Object.entries(versions),
    ...Object.entries(sysctls),
    ...Object.entries(mitigations),
    ...Object.entries(workload.parameters),
    ['server arguments', workload.serverArguments.join(' ')],
    ['priority', priority ? `${priority.kind} ${priority.nice}` : 'none'],
    ['window', `${plan.durationMs / 1000} s after ${plan.warmupMs / 1000} s`],
  ];
  return new Map(entries.map(([name, value]) => [name, String(value)]));
}
