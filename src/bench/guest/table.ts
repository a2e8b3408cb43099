import Table from 'cli-table3';
import { digits, formatRatio } from '../../report/format.js';
import { type Estimate, estimate } from '../../report/statistics.js';
import type { RequestsPerConnection, Variant } from '../../results/schema.js';
import type { CountedSample, GuestResults } from './record.js';

/** One variant at one point: medians of its samples. */
type GuestCell = {
  variant: Variant;
  requestsPerConnection: RequestsPerConnection;
  /** Instructions a transaction outside the client's process. */
  outside: Estimate | undefined;
  /** Of them: in the server's user mode, in the kernel for the server, in the kernel's own threads. */
  user: Estimate | undefined;
  kernel: Estimate | undefined;
  threads: Estimate | undefined;
  /** To the baseline of the same round. */
  ratio: Estimate | undefined;
  /** System calls of the server a transaction. */
  crossings: Estimate | undefined;
  /** Instructions of the whole guest a transaction, to the baseline of the same round. */
  all: Estimate | undefined;
  failed: number;
};

const total = ({ user, kernel }: { user: number; kernel: number }) => user + kernel;

/** Instructions outside the client's process: what servers are compared by. */
function outside({ tasks, transactions }: CountedSample): number {
  return (total(tasks.server) + total(tasks.kernelThreads)) / transactions;
}

function everything({ tasks, transactions }: CountedSample): number {
  return outside({ tasks, transactions } as CountedSample) + total(tasks.client) / transactions;
}

/** What was counted, for each point and variant in the order of taking. */
export function guestCells({ counted, failed }: GuestResults): GuestCell[] {
  const orders = [...counted, ...failed];
  const names = new Map(orders.map((one) => [cellName(one), one]));
  const cells = [...names].map(([name, { variant, requestsPerConnection }]) => {
    const own = counted.filter((one) => cellName(one) === name);
    const per = (read: (one: CountedSample) => number) =>
      estimate(own.map((one) => read(one) / one.transactions));
    return {
      variant,
      requestsPerConnection,
      outside: estimate(own.map(outside)),
      user: per(({ tasks }) => tasks.server.user),
      kernel: per(({ tasks }) => tasks.server.kernel),
      threads: per(({ tasks }) => total(tasks.kernelThreads)),
      ratio: estimate(ratios(own, counted, outside)),
      crossings: per(({ tasks }) => tasks.server.systemCalls),
      all: estimate(ratios(own, counted, everything)),
      failed: failed.filter((one) => cellName(one) === name).length,
    };
  });
  return inOrder(cells);
}

type Named = Pick<GuestCell, 'variant' | 'requestsPerConnection'>;

const cellName = ({ variant, requestsPerConnection }: Named) => `${requestsPerConnection} ${variant.id}`;

/** By point as they were asked for, and the baseline first. */
function inOrder(cells: GuestCell[]): GuestCell[] {
  const points = [...new Set(cells.map((cell) => cell.requestsPerConnection))];
  return points.flatMap((point) => {
    const own = cells.filter((cell) => cell.requestsPerConnection === point);
    return [...own.filter(isBaseline), ...own.filter((cell) => !isBaseline(cell))];
  });
}

const isBaseline = ({ variant }: Named) => variant.server === 'baseline';

function ratios(own: CountedSample[], all: CountedSample[], read: (one: CountedSample) => number): number[] {
  return own.flatMap((one) => {
    const rival = all.find(
      (other) =>
        isBaseline(other) &&
        other.round === one.round &&
        other.requestsPerConnection === one.requestsPerConnection,
    );
    return rival ? [read(one) / read(rival)] : [];
  });
}

/** What was counted, for a terminal. */
export function formatGuest(results: GuestResults): string {
  const { subject, guest } = results.head;
  const title = `${subject} on Linux ${guest.kernel}, emulated: instructions a transaction, in thousands`;
  return [title, tableOf(guestCells(results)), notes(results)].join('\n');
}

function tableOf(cells: GuestCell[]): string {
  const table = new Table({
    head: [
      'Transactions/\nconnection',
      'Variant',
      'Outside\nthe client',
      'of baseline',
      'Server:\nuser',
      'Server:\nkernel',
      'Kernel\nthreads',
      'Calls/\ntransaction',
      'Whole guest,\nof baseline',
      'Samples',
    ],
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 1 },
  });
  for (const [index, cell] of cells.entries()) {
    const first = cells[index - 1]?.requestsPerConnection !== cell.requestsPerConnection;
    table.push([first ? String(cell.requestsPerConnection) : '', ...rowOf(cell)]);
  }
  return table.toString();
}

function rowOf(cell: GuestCell): string[] {
  const { variant, outside: count, ratio, user, kernel, threads, crossings, all, failed } = cell;
  const samples = count?.samples ?? 0;
  return [
    variant.id,
    spread(count, thousands),
    spread(ratio, formatRatio),
    middle(user, thousands),
    middle(kernel, thousands),
    middle(threads, thousands),
    middle(crossings, digits),
    middle(all, formatRatio),
    failed > 0 ? `${samples}, ${failed} failed` : String(samples),
  ];
}

const thousands = (instructions: number) => (instructions / 1000).toFixed(2);

function middle(value: Estimate | undefined, format: (value: number) => string): string {
  return value ? format(value.median) : '–';
}

/** The median, and the range where samples differ. */
function spread(value: Estimate | undefined, format: (value: number) => string): string {
  if (!value) return '–';
  const [low, high] = [format(value.low), format(value.high)];
  return low === high ? format(value.median) : `${format(value.median)} ${low}–${high}`.replaceAll('×', '');
}

function notes({ failed, end }: GuestResults): string {
  const reasons = [...new Set(failed.map(({ variant, reason }) => `${variant.id} failed: ${reason}`))];
  return [
    'The emulator executes instructions, not cycles: each counts as one, whatever it costs a CPU. These are no times.',
    'Outside the client is all but the client’s process and what the kernel does in it. The kernel’s threads handle packets of both sides.',
    'Of a string instruction that repeats, the repetitions are not counted.',
    'The machine has one CPU, so that partition has nothing to do there.',
    ...reasons,
    ...(end?.outcome === 'complete' ? [] : ['It was interrupted: not all samples were taken.']),
  ]
    .map((line) => `- ${line}`)
    .join('\n');
}
