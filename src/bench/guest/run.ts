import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { UserError } from '../../base/errors.js';
import { root } from '../../base/paths.js';
import { describeMachine } from '../../host/machine.js';
import { loadPort } from '../../port/port.js';
import { runInGuest } from '../../vm/guest.js';
import type { KernelName } from '../../vm/kernel.js';
import { qemu } from '../../vm/qemu.js';
import { connections } from '../application/grid.js';
import { type Blocks, readCounts } from './counts.js';
import type { GuestSaying } from './dialogue.js';
import { enginesOf, type GuestOrder, type GuestPlan, guestOrders } from './plan.js';
import { profileKernelOptions } from './profile.js';
import { countPlugin } from './programs.js';
import { appendGuestRecord, type GuestRecord, guestFormat } from './record.js';
import { memcachedParameters } from './script.js';

/** What to measure, in which guest, and where to write it. */
export type GuestRun = {
  plan: GuestPlan;
  kernel: KernelName;
  /** Another module than the one that is built for the kernel. */
  module: string | undefined;
  file: string;
  signal: AbortSignal;
  /** Called before each sample, with how many were taken. */
  onProgress(order: GuestOrder, done: number): void;
  /** Called with what was executed where, of each sample; and once, before that, with the kernel's symbols. */
  profile: { onSymbols(text: string): void; onBlocks(order: GuestOrder, blocks: Blocks): void } | undefined;
};

/** For a sample; a host that is busy with other things emulates slowly. */
const secondsASample = 120;

/** Count what the plan says. The file is a complete account at every moment; an abort ends it as interrupted. */
export async function runGuestBench(run: GuestRun): Promise<void> {
  if (existsSync(run.file)) {
    throw new UserError(`${run.file} exists already`, { hint: 'give another name to --out', exitCode: 2 });
  }
  const scratch = mkdtempSync(join(tmpdir(), 'megapipe-count-'));
  const account = accountOf(run, join(scratch, 'counts'));
  let outcome: 'complete' | 'interrupted' = 'interrupted';
  try {
    await runIn(run, join(scratch, 'counts'), (saying) => account.take(saying));
    outcome = 'complete';
  } finally {
    rmSync(scratch, { recursive: true, force: true });
    if (account.hasBegun())
      appendGuestRecord(run.file, { type: 'end', endedAt: new Date().toISOString(), outcome });
  }
}

async function runIn(
  { plan, kernel, module, signal, profile }: GuestRun,
  counts: string,
  take: (saying: GuestSaying) => Promise<void>,
): Promise<void> {
  const inside = join(root, 'dist/src/bench/guest/inside.js');
  const taken: Promise<void>[] = [];
  const { exitCode, stderr } = await runInGuest({
    // Neither server nor client takes the CPU from the other at each message: both find a batch when they come.
    command: [
      ...['chrt', '--batch', '0', process.execPath, inside, JSON.stringify(plan)],
      ...(profile ? ['with symbols'] : []),
    ],
    kernel,
    icount: true,
    module: enginesOf(plan).includes('kernel') ? (module ?? true) : false,
    timeLimit: 60 + secondsASample * guestOrders(plan).length,
    kernelOptions: profile ? profileKernelOptions : [],
    emulatorOptions: ['-plugin', `${countPlugin},out=${counts}${profile ? ',profile=on' : ''}`],
    onStdout: inLines((line) => {
      const last = taken.at(-1) ?? Promise.resolve();
      taken.push(last.then(() => take(JSON.parse(line))));
      taken.at(-1)?.catch(() => undefined);
    }),
    signal,
  });
  await Promise.all(taken);
  if (exitCode !== 0) throw new Error(`the guest's part ended with status ${exitCode}: ${stderr}`);
}

/** Splits what comes in pieces at the ends of lines. */
function inLines(take: (line: string) => void): (chunk: Buffer) => void {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(take);
  };
}

/** Joins what the guest tells with what the plugin has written by then: a window for each sample that was taken. */
function accountOf(run: GuestRun, counts: string) {
  const orders = guestOrders(run.plan);
  let done = 0;
  let windows = 0;
  let begun = false;
  const next = () => {
    const order = orders[done];
    if (order) run.onProgress(order, done);
  };
  const sample = (saying: GuestSaying & { type: 'taken' | 'failed' }): GuestRecord => {
    const order = orders[done++] as GuestOrder;
    if (saying.type === 'failed') return { ...order, type: 'failed', reason: saying.reason };
    const window = readCounts(counts).at(windows++);
    if (!window) throw new Error('the plugin counted nothing: it did not see the client’s marks');
    run.profile?.onBlocks(order, window.blocks);
    const { transactions, connections: made, ns } = saying;
    return { ...order, type: 'counted', transactions, connections: made, ns, tasks: window.tasks };
  };
  return {
    hasBegun: () => begun,
    take: async (saying: GuestSaying) => {
      if (saying.type === 'symbols') run.profile?.onSymbols(saying.text);
      else if (saying.type === 'begun') {
        appendGuestRecord(run.file, await headOf(run, saying.machine));
        begun = true;
      } else appendGuestRecord(run.file, sample(saying));
      if (begun) next();
    },
  };
}

async function headOf(
  { plan }: GuestRun,
  guest: (GuestSaying & { type: 'begun' })['machine'],
): Promise<GuestRecord> {
  const { stdout } = await execa(qemu, ['--version']);
  return {
    type: 'guest',
    format: guestFormat,
    startedAt: new Date().toISOString(),
    subject: plan.subject,
    parameters: parametersOf(plan),
    host: await describeMachine(plan.subject === 'echo' ? undefined : loadPort(plan.subject, plan.version)),
    guest,
    emulator: {
      version: stdout.split('\n')[0] ?? '',
      options: ['-accel tcg', '-icount shift=0,sleep=on', '-smp 1'],
    },
    plan: { samples: plan.samples, transactions: plan.transactions, warmup: plan.warmup, connections },
  };
}

function parametersOf({ subject }: GuestPlan): Record<string, string | number> {
  const common = { close: 'rst', scheduling: 'SCHED_BATCH' };
  if (subject === 'echo') return { messageBytes: 64, ...common };
  if (subject === 'memcached') return { ...memcachedParameters, ...common };
  return { files: 'specweb', ...common };
}
