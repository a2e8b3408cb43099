import { createInterface } from 'node:readline';
import type { Duplex, Readable } from 'node:stream';
import { execa } from 'execa';
import { encodeJob, type Job } from './job.js';
import { firstPort, type Machine, ports, qemuCommand } from './qemu.js';

/** Where a command's streams come from and go to. */
type Streams = {
  stdin?: Readable | undefined;
  stdout: (chunk: Buffer) => void;
  stderr: (chunk: Buffer) => void;
};

/** What became of a guest. */
export type GuestEnd =
  /** All went well with the guest, whatever its command's exit code is. */
  | { kind: 'done'; exitCode: number }
  /** The guest could not run the command, or not do what must follow it. */
  | { kind: 'failed'; why: string }
  | { kind: 'time is up' }
  | { kind: 'interrupted' }
  /** qemu ended before the guest said how it went. */
  | { kind: 'lost'; qemu: string };

type Said = { exitCode?: number; bytes?: [number, number]; failure?: string; done: boolean };

/** Run a machine to its end: it is told the job, its command's output is handed on, and nothing of it is left. */
export async function superviseGuest(
  machine: Machine,
  job: Job,
  options: { streams: Streams; timeLimit: number; signal?: AbortSignal | undefined },
): Promise<GuestEnd> {
  // Should this process be killed, its machines must not go on.
  const [file, ...args] = ['setpriv', '--pdeathsig', 'KILL', '--', ...qemuCommand(machine)];
  const guest = execa(file as string, args, {
    stdio: ['ignore', 'pipe', 'pipe', ...ports.map(() => 'pipe' as const)],
    buffer: { stdout: true, stderr: true, fd3: false, fd4: false, fd5: false, fd6: false },
    timeout: options.timeLimit * 1000,
    killSignal: 'SIGKILL',
    reject: false,
    ...(options.signal ? { cancelSignal: options.signal } : {}),
  });
  const [control, ...streams] = guest.stdio.slice(firstPort, firstPort + ports.length) as Duplex[];
  const said = converse(control as Duplex, streams, machine.nonce, job, options.streams);
  const end = await guest;
  if (end.isCanceled) return { kind: 'interrupted' };
  if (said.failure !== undefined) return { kind: 'failed', why: said.failure };
  if (said.done && said.exitCode !== undefined) return { kind: 'done', exitCode: said.exitCode };
  if (end.timedOut) return { kind: 'time is up' };
  return { kind: 'lost', qemu: `${end.stderr}\n${end.failed ? end.shortMessage : ''}`.trim() };
}

/** Tell the guest its job and note what it says; once all of its output is here, tell it so. */
function converse(control: Duplex, ports: Duplex[], nonce: string, job: Job, streams: Streams): Said {
  const [stdout, stderr, stdin] = ports as [Duplex, Duplex, Duplex];
  const said: Said = { done: false };
  let announced = false;
  const received: [number, number] = [0, 0];
  const settle = () => {
    const complete = said.bytes?.every((count, index) => count === received[index]) ?? false;
    if (said.done || !announced || !complete) return;
    said.done = true;
    control.write('seen\n');
  };
  const receive = (port: Duplex, index: 0 | 1, to: (chunk: Buffer) => void) => {
    port.on('data', (chunk: Buffer) => {
      received[index] += chunk.length;
      to(chunk);
      settle();
    });
  };
  // A machine that ends resets its ports; how it ended is judged by what it said.
  const lines = createInterface({ input: control });
  for (const source of [control, ...ports, lines]) source.on('error', () => undefined);
  receive(stdout, 0, streams.stdout);
  receive(stderr, 1, streams.stderr);
  lines.on('line', (line) => {
    announced ||= line === `done ${nonce}`;
    take(line, said);
    if (said.failure !== undefined) control.write('seen\n');
    settle();
  });
  control.write(encodeJob(job));
  if (streams.stdin) streams.stdin.pipe(stdin);
  return said;
}

function take(line: string, said: Said): void {
  const [word, ...values] = line.split(' ');
  if (word === 'exit') said.exitCode = Number(values[0]);
  // As a shell does.
  if (word === 'signal') said.exitCode = 128 + Number(values[0]);
  if (word === 'bytes') said.bytes = [Number(values[0]), Number(values[1])];
  if (word === 'failed') said.failure = values.join(' ');
}
