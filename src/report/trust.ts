import { median } from 'simple-statistics';
import { againId, type ComparedMetric, roundsOf } from '../metrics/log-ratios.js';
import { metricsOf } from '../metrics/metrics.js';
import { type OkSample, pointKey, type Results } from '../results/schema.js';
import { incomplete } from './caveats.js';
import { formatDuration, formatRatio, formatShare, listOf, rangeWords } from './format.js';
import { type Ratio, ratioOf } from './ratios.js';

/** What a reader needs in order to believe a run or not, in a line each. */
export function trustWords(runs: Results[]): string[] {
  const missing = runs.flatMap((run) =>
    incomplete(run).map((words) => `${run.machine.workload.application}: ${words}`),
  );
  const words = [machineWords(runs), othersWords(runs), againWords(runs)];
  return [...words.filter((one) => one !== undefined), ...missing];
}

function machineWords(runs: Results[]): string | undefined {
  const [first] = runs;
  if (!first) return undefined;
  const { cpus, cpuModel, kernel, virtualization } = first.machine;
  const inside = ['none', 'unknown'].includes(virtualization) ? '' : ` (${virtualization})`;
  const total = runs.reduce((sum, run) => sum + durationMs(run), 0);
  return `${cpus} × ${cpuModel}, Linux ${kernel}${inside}; measured for ${formatDuration(total)}`;
}

function durationMs({ machine, samples, end }: Results): number {
  const last = end?.endedAt ?? samples.at(-1)?.startedAt ?? machine.startedAt;
  return Date.parse(last) - Date.parse(machine.startedAt);
}

function othersWords(runs: Results[]): string | undefined {
  const shares = runs.flatMap(({ machine, samples }) =>
    timedOf(samples).flatMap((sample) => {
      const topology = machine.topologies.find(({ name }) => name === sample.topology);
      return topology ? [metricsOf(sample, topology).othersShare] : [];
    }),
  );
  if (shares.length === 0) return undefined;
  const retaken = runs.reduce((sum, run) => sum + run.retaken.length, 0);
  const again =
    retaken > 0 ? `; ${retaken} ${retaken === 1 ? 'sample was' : 'samples were'} taken again` : '';
  return `other processes took ${formatShare(median(shares))} of the CPUs’ time, ${formatShare(Math.max(...shares))} at most${again}; ${priorityWords(runs)}`;
}

function priorityWords([first]: Results[]): string {
  const priority = first?.machine.priority;
  if (!priority || priority.kind === 'none') return 'priority not raised';
  return `priority raised (${priority.kind} ${priority.nice})`;
}

const timedOf = (samples: Results['samples']) =>
  samples.filter((one): one is OkSample => one.status === 'ok' && one.kind === 'timed');

/** What a difference between two equal servers looks like on this machine. */
function againWords(runs: Results[]): string {
  const all = runs.flatMap((run) => againOf(run));
  if (all.length === 0)
    return 'stock I/O against itself: not measured in this file, so the noise is not known';
  const words = all.map(
    ({ application, cpu, throughput }) => `${application} ${ratioText(cpu)} and ${ratioText(throughput)}`,
  );
  return `stock I/O against itself, CPU and throughput: ${words.join(', ')}; ${judgement(all)}`;
}

/** The baseline to itself. */
type Again = { application: string; cpu: Ratio | undefined; throughput: Ratio | undefined };

function againOf({ machine, samples }: Results): Again[] {
  const first = samples.find(({ variant }) => variant.id === againId);
  const topology = machine.topologies.find(({ name }) => name === first?.topology);
  if (!first || !topology) return [];
  const own = samples.filter(
    (one) => one.topology === first.topology && pointKey(one.point) === pointKey(first.point),
  );
  const rounds = (id: string) =>
    roundsOf(
      own.filter(({ variant }) => variant.id === id),
      topology,
    );
  const ratio = (metric: ComparedMetric) => ratioOf(rounds(againId), rounds('baseline'), metric);
  return [
    {
      application: machine.workload.application,
      cpu: ratio('serverCpuUs'),
      throughput: ratio('throughput'),
    },
  ];
}

const ratioText = (ratio: Ratio | undefined) => (ratio ? formatRatio(ratio.ratio) : 'unknown');

/** Of two equal servers any difference that is decided is a fault of the measurement. */
function judgement(all: Again[]): string {
  const wrong = all.flatMap(({ application, ...metrics }) =>
    Object.entries(metrics)
      .filter(([, ratio]) => ratio?.verdict === 'better' || ratio?.verdict === 'worse')
      .map(([metric, ratio]) => `${application}’s ${metric} (${ratio ? rangeWords(ratio) : ''})`),
  );
  return wrong.length === 0
    ? 'none is told from 1, as it should be'
    : `${listOf(wrong)} found a difference where there is none: doubt this run`;
}
