import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { UserError } from '../base/errors.js';
import { buildDir, root } from '../base/paths.js';
import { chooseAccelerator } from './accelerator.js';
import type { Job } from './job.js';
import { type GuestKernel, type KernelName, vmDir } from './kernel.js';
import { complaintIn, tailOf } from './kernel-log.js';
import { prepareGuest, whyNoGuests } from './prepare.js';
import type { Machine } from './qemu.js';
import { type GuestEnd, superviseGuest } from './supervise.js';

/** What to run in a guest, and in which. */
export type GuestOptions = {
  command: string[];
  /** Default: 6.1. */
  kernel?: KernelName;
  /** The kernel of that series that looks for mistakes; it must have been built. Default: Debian's. */
  debugKernel?: boolean;
  /** Default: 2. */
  cpus?: number;
  /** Default: 2048. */
  memoryMiB?: number;
  /** Seconds after which the guest is ended, as a failure; default: 600. */
  timeLimit?: number;
  /** Load our module before the command and remove it after; default: true. A string is the file of another. */
  module?: boolean | string;
  /** As `name=value`. */
  moduleParameters?: string[];
  /** More words for the kernel's command line. */
  kernelOptions?: string[];
  /** More words for qemu's. */
  emulatorOptions?: string[];
  /** Folders of the host in which the guest may write. */
  writable?: string[];
  /** Default: this process's. Of the host's /tmp, /run and /dev the guest has nothing, but this project's folder. */
  cwd?: string;
  /** Beside PATH and HOME. */
  environment?: Record<string, string>;
  /** A clock that counts instructions, 1 ns each, on one CPU. */
  icount?: boolean;
  /** Where the kernel's log is kept; else it is kept only where something went wrong. */
  kernelLogFile?: string;
  /** Default: the command has nothing to read. */
  stdin?: Readable;
  /** Take the output as it comes, instead of finding it in the result. */
  onStdout?: (chunk: Buffer) => void;
  onStderr?: (chunk: Buffer) => void;
  /** Ends the guest. */
  signal?: AbortSignal;
};

/** A command that was run in a guest. */
export type GuestRun = {
  /** 128 and the signal's number for a command that died of one. */
  exitCode: number;
  stdout: string;
  stderr: string;
  kernelLog: string;
};

const setUpHint = 'run: npx megapipe setup --for test';

/** The module as it is built for a kernel. */
export function moduleFile({ release }: GuestKernel): string {
  return join(buildDir, 'kernel', release, 'megapipe.ko');
}

/**
 * Run a command in a guest that sees the host's files. Throws where anything is wrong but the command itself: the
 * guest could not be started, did not end in time, or its kernel complained.
 */
export async function runInGuest(options: GuestOptions): Promise<GuestRun> {
  const impossible = whyNoGuests();
  if (impossible)
    throw new UserError(`no virtual machine can be run here: ${impossible}`, { hint: setUpHint });
  const kernel = await prepareGuest(options.kernel ?? '6.1', options.debugKernel);
  const job = jobOf(options, kernel);
  const machine: Machine = {
    kernel,
    accelerator: options.icount ? 'tcg' : await chooseAccelerator(kernel),
    cpus: options.cpus ?? 2,
    memoryMiB: options.memoryMiB ?? 2048,
    icount: options.icount ?? false,
    kernelOptions: options.kernelOptions ?? [],
    emulatorOptions: options.emulatorOptions ?? [],
    writable: job.writable,
    nonce: randomBytes(16).toString('hex'),
    log: options.kernelLogFile ? resolve(options.kernelLogFile) : newLog(kernel),
  };
  const run = await supervised(machine, job, options);
  if (!options.kernelLogFile) rmSync(machine.log);
  return run;
}

async function supervised(machine: Machine, job: Job, options: GuestOptions): Promise<GuestRun> {
  const stdout = gather(options.onStdout);
  const stderr = gather(options.onStderr);
  const timeLimit = options.timeLimit ?? 600;
  const end = await superviseGuest(machine, job, {
    streams: { stdin: options.stdin, stdout: stdout.take, stderr: stderr.take },
    timeLimit,
    signal: options.signal,
  });
  const kernelLog = existsSync(machine.log) ? readFileSync(machine.log, 'utf8').replaceAll('\r', '') : '';
  const output = { stdout: stdout.text(), stderr: stderr.text() };
  if (end.kind === 'interrupted') throw interrupted(machine, options);
  const wrong = whatIsWrong(end, kernelLog, timeLimit);
  if (wrong === undefined && end.kind === 'done') return { exitCode: end.exitCode, ...output, kernelLog };
  const said = [output.stdout, output.stderr].filter(Boolean).map((text) => tailOf(text));
  const words = said.length > 0 ? `what the command had said ends with\n${said.join('')}` : '';
  throw new UserError(`${wrong}${words}`, { hint: `the kernel's whole log is in ${machine.log}` });
}

/** In words, or undefined where all is well. */
function whatIsWrong(end: GuestEnd, kernelLog: string, timeLimit: number): string | undefined {
  const complaint = complaintIn(kernelLog);
  const tail = `the kernel's log ends with\n${tailOf(kernelLog)}`;
  if (complaint) return `the guest's kernel complained:\n${complaint}`;
  if (end.kind === 'failed') return `the guest ${end.why}; ${tail}`;
  if (end.kind === 'time is up') return `the guest had not ended after ${timeLimit} s; ${tail}`;
  if (end.kind === 'lost') return `the guest ended too early; ${end.qemu ? `${end.qemu}; ` : ''}${tail}`;
  return undefined;
}

/** Somebody has lost interest: in the log too. */
function interrupted({ log }: Machine, { kernelLogFile }: GuestOptions): UserError {
  if (!kernelLogFile) rmSync(log, { force: true });
  return new UserError('the guest was ended before its command did');
}

function gather(instead?: (chunk: Buffer) => void) {
  const chunks: Buffer[] = [];
  const take = instead ?? ((chunk: Buffer) => void chunks.push(chunk));
  return { take, text: () => Buffer.concat(chunks).toString() };
}

function newLog({ release }: GuestKernel): string {
  const folder = join(vmDir, 'log');
  mkdirSync(folder, { recursive: true });
  const now = new Date().toISOString().replace(/[-:]|\..*/g, '');
  return join(folder, `${now}-${release}-${randomBytes(3).toString('hex')}.log`);
}

function jobOf(options: GuestOptions, kernel: GuestKernel): Job {
  const module = moduleOf(options, kernel);
  return {
    command: options.command,
    cwd: resolve(options.cwd ?? '.'),
    environment: {
      PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: process.env.HOME ?? '/root',
      ...options.environment,
    },
    writable: (options.writable ?? []).map(existingFolder),
    stdin: options.stdin !== undefined,
    ...(isHidden(root) ? { kept: realpathSync(root) } : {}),
    ...(kernel.modules ? { modules: kernel.modules } : {}),
    ...(module ? { module } : {}),
  };
}

/** Whether the guest has a file system of its own where the host has a folder. */
const isHidden = (folder: string) => /^\/(tmp|run|dev)\//.test(realpathSync(folder));

function existingFolder(name: string): string {
  const folder = resolve(name);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return realpathSync(folder);
  throw new UserError(`there is no folder ${folder} for the guest to write in`, {
    hint: 'make it first',
    exitCode: 2,
  });
}

function moduleOf(options: GuestOptions, kernel: GuestKernel): Job['module'] {
  if (options.module === false) return undefined;
  const file = typeof options.module === 'string' ? resolve(options.module) : moduleFile(kernel);
  if (!existsSync(file)) {
    throw new UserError(`there is no module ${file}`, { hint: setUpHint });
  }
  const name = basename(file, '.ko').replaceAll('-', '_');
  return { file, name, parameters: options.moduleParameters ?? [] };
}
