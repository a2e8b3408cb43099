import { pointKey, type Results } from '../results/schema.js';
import { describeValues, formatRatio, formatShare, topologyTitle } from './format.js';
import type { Cell, Limit, Section } from './model.js';
import { coresWords, sameLoad } from './points.js';
import { wholeVariants } from './variants.js';

/** Whether there is all that there should be. */
export const incomplete = (results: Results) => [...ending(results), ...failures(results)];

/** What a reader must know before believing the results; each only where it applies to this run. */
export function caveats(results: Results, all: Section[]): string[] {
  const sections = oneOfEachTopology(all);
  return [
    ...incomplete(results),
    ...emulated(results),
    ...sections.flatMap(busyMachine),
    ...results.skips.map(({ what, reason }) => `Not measured: ${what}: ${reason}.`),
    ...speedups(sections),
    ...sections.flatMap((section) => [
      ...sharedCpu(section, sections),
      ...loneCpu(section),
      ...limits(section),
    ]),
    ...virtualMachine(results),
  ];
}

/** What holds of a topology is said once: its first section, with all that was measured on it. */
function oneOfEachTopology(sections: Section[]): Section[] {
  const first = sections.filter(
    ({ topology }, index) => sections.findIndex((one) => one.topology === topology) === index,
  );
  return first.map((section) => {
    const own = sections.filter(({ topology }) => topology === section.topology);
    const cells = own.flatMap((one) => one.cells);
    const key = ({ variant, point }: Cell) => `${variant.id} ${pointKey(point)}`;
    return { ...section, cells: [...new Map(cells.map((cell) => [key(cell), cell])).values()] };
  });
}

function ending({ end }: Results): string[] {
  if (end?.outcome === 'complete') return [];
  return [end ? 'The run was interrupted before all samples were taken.' : 'The run died before its end.'];
}

function failures({ samples }: Results): string[] {
  const failed = samples.filter(({ status }) => status === 'failed').length;
  if (failed === 0) return [];
  const verb = failed === 1 ? 'is' : 'are';
  return [
    `${failed} of ${samples.length} samples failed and ${verb} in no median; the report lists each with its reason.`,
  ];
}

/** On loopback a partitioned flow stays on one CPU from client to server, which no two machines can do. */
function sharedCpu(section: Section, sections: Section[]): string[] {
  if (!isFlattered(section)) return [];
  const others = sections.filter((other) => other !== section).flatMap((other) => elsewhere(section, other));
  return [[flattery, ...others].join(' ')];
}

const isFlattered = ({ topology, variants }: Section) =>
  topology.name === 'loopback' && variants.some(({ techniques }) => techniques.includes('partition'));

const flattery =
  'Loopback flatters partitioning: the kernel handles a packet on the CPU that sent it, so that client and server ' +
  'of a partitioned flow share a CPU and its caches, as on no real network.';

/** The same variants' ratios on another topology, at the loads that both have. */
function elsewhere(section: Section, other: Section): string[] {
  return wholeVariants(section.variants).flatMap(({ id }) => {
    const ratios = other.points.flatMap((point) => {
      const there = other.cell(id, point)?.ratios.throughput;
      if (!there || !section.points.some((own) => sameLoad(own, point))) return [];
      return [{ point, value: there.ratio, text: formatRatio(there.ratio) }];
    });
    if (ratios.length === 0) return [];
    return [`${topologyTitle(other.topology.name)}: ${id} measured ${describeValues(other, ratios)}.`];
  });
}

/** What such a machine can't tell, however long it measures. */
export function beyondReach(runs: { results: Results; sections: Section[] }[]): string[] {
  const all = runs.flatMap(({ sections }) => sections);
  return [
    ...fewCores(all),
    ...(all.some(isFlattered) ? [flattery] : []),
    ...runs.slice(0, 1).flatMap(({ results }) => [...emulated(results), ...virtualMachine(results)]),
  ];
}

/** Where a shared accept queue stops scaling is beyond a few cores. */
function fewCores(sections: Section[]): string[] {
  const cores = sections.flatMap(({ points }) => points.map((point) => point.cores));
  const most = Math.max(0, ...cores);
  if (most === 0 || most >= paperCores) return [];
  return [
    `The server had ${coresWords(most)} at most, the paper’s eight: where a shared accept queue stops scaling, and ` +
      'what MegaPipe gains there, cannot be seen with so few.',
  ];
}

/** What a run over cores cannot show: the paper's gains grew with them, up to eight. */
function speedups(sections: Section[]): string[] {
  const over = sections.filter(({ topology }) => topology.name !== 'one-core');
  if (over.length === 0) return [];
  const few = fewCores(over);
  const measured = over.some(({ cells }) => cells.some(({ speedup }) => speedup));
  const none =
    measured || allCores(over) < 2 || !over.some(({ axis }) => axis === 'cores')
      ? []
      : ['Speed-up over cores was not measured: all points have the same cores; --cores each takes all.'];
  const shared =
    measured && over.some(({ topology }) => topology.sharesCpus)
      ? [
          'Where server and clients share the CPUs, a server on fewer cores leaves the others to the clients, so that ' +
            'the speed-up is less than that of a server with cores of its own.',
        ]
      : [];
  return [...few, ...none, ...shared];
}

const paperCores = 8;

const allCores = (sections: Section[]) =>
  Math.max(...sections.map(({ topology }) => topology.server.cpus.length));

function loneCpu({ topology, variants }: Section): string[] {
  if (topology.server.cpus.length > 1 || !variants.some(({ techniques }) => techniques.includes('partition')))
    return [];
  return [
    `${topologyTitle(topology.name)}: the server has one CPU, where partitioning has nothing to divide.`,
  ];
}

/** Where the server had time to spare, its throughput is not its own limit. */
function limits({ topology, cells }: Section): string[] {
  const say = (kind: Limit, words: string) => {
    const own = cells.filter(({ limit }) => limit === kind);
    if (own.length === 0) return [];
    const idle = own.flatMap(({ serverIdle }) => (serverIdle ? [serverIdle.median] : []));
    const [least, most] = [formatShare(Math.min(...idle)), formatShare(Math.max(...idle))];
    const range = least === most ? least : `${least} to ${most}`;
    const where = `at ${own.length} of ${cells.length} points (server idle ${range})`;
    return [`${topologyTitle(topology.name)}: ${words} ${where}; compare the CPU time a request there.`];
  };
  return [
    ...say(
      'client',
      'the clients’ CPUs were used up and the server’s were not, so that the clients limit the throughput,',
    ),
    ...say('nothing', 'neither side’s CPUs were used up, so that waiting limits the throughput,'),
  ];
}

/** Foreign work on the machine, beyond what the system itself always does. */
const foreignShare = 0.05;

function busyMachine({ topology, cells }: Section): string[] {
  const disturbed = cells.filter(({ othersShare }) => (othersShare?.median ?? 0) > foreignShare);
  if (disturbed.length === 0) return [];
  const most = Math.max(...disturbed.map(({ othersShare }) => othersShare?.median ?? 0));
  return [
    `${topologyTitle(topology.name)}: other processes took up to ${formatShare(most)} of the CPUs’ time at ` +
      `${disturbed.length} of ${cells.length} points; measure again on an idle machine.`,
  ];
}

function virtualMachine({ machine: { virtualization } }: Results): string[] {
  if (virtualization === 'none' || virtualization === 'unknown') return [];
  return [`Measured inside a virtual machine or container (${virtualization}), whose host may be busy too.`];
}

/** Of what systemd-detect-virt calls hypervisors, qemu is the one that emulates: with KVM it is kvm. */
const emulator = 'qemu';

function emulated({ machine: { virtualization } }: Results): string[] {
  if (!virtualization.split(', ').includes(emulator)) return [];
  return [
    'The machine was emulated, and an emulator executes instructions, not cycles: its times are no hardware’s, and ' +
      'their ratios are more like ratios of instructions.',
  ];
}
