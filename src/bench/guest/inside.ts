import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild } from '../../host/child.js';
import { describeMachine } from '../../host/machine.js';
import { connections } from '../application/grid.js';
import type { GuestSaying } from './dialogue.js';
import { type GuestOrder, type GuestPlan, guestOrders } from './plan.js';
import { pingpong } from './programs.js';
import { openSubject, type Subject, type Target } from './subject.js';

// The part of `megapipe bench guest` that runs in the guest: takes the samples of the plan, which is its argument, and
// tells of each in a line. What is counted is counted outside.

const device = '/dev/megapipe';

/** What a kernel does by itself after booting, as testing its ciphers, is over then. */
const settleMs = 2000;

/** A client that takes longer hangs. */
const patienceMs = 600_000;

function tell(saying: GuestSaying): void {
  process.stdout.write(`${JSON.stringify(saying)}\n`);
}

async function takeAll(plan: GuestPlan, signal: AbortSignal): Promise<void> {
  const subject = await openSubject(plan, signal);
  try {
    for (const order of guestOrders(plan)) tell(await take(subject, order, plan, signal));
  } finally {
    subject.close();
  }
}

async function take(
  subject: Subject,
  order: GuestOrder,
  plan: GuestPlan,
  signal: AbortSignal,
): Promise<GuestSaying> {
  try {
    const target = await subject.start(order.variant);
    try {
      return { type: 'taken', ...(await load(target, order, plan, signal)) };
    } finally {
      await target.stop();
    }
  } catch (error) {
    return { type: 'failed', reason: (error as Error).message };
  }
}

async function load(
  { port, script }: Target,
  { requestsPerConnection }: GuestOrder,
  { transactions, warmup }: GuestPlan,
  signal: AbortSignal,
): Promise<{ transactions: number; connections: number; ns: number }> {
  const limit = requestsPerConnection === 'unlimited' ? 0 : requestsPerConnection;
  const command = [
    pingpong,
    ...['-c', String(connections), '-n', String(limit)],
    ...['-w', String(warmup), '-m', String(transactions)],
    ...(script ? ['-f', script] : []),
    ...['127.0.0.1', String(port)],
  ];
  const { exitCode, stdout, stderr, timedOut } = await startChild(command, signal, { timeoutMs: patienceMs });
  if (timedOut) throw new Error('the server left a request unanswered');
  if (exitCode !== 0) throw new Error(stderr.trim() || `the client ended with status ${exitCode}`);
  return JSON.parse(stdout);
}

const [, , planText, withSymbols] = process.argv as [string, string, string, string | undefined];
const plan: GuestPlan = JSON.parse(planText);
// nginx's workers are somebody else than its master.
if (existsSync(device)) chmodSync(device, 0o666);
await sleep(settleMs);
tell({ type: 'begun', machine: await describeMachine() });
if (withSymbols) tell({ type: 'symbols', text: readFileSync('/proc/kallsyms', 'latin1') });
await takeAll(plan, new AbortController().signal);
