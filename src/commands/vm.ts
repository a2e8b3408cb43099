import { type Command, Option } from 'commander';
import { withBuildLock } from '../base/build-lock.js';
import { UserError } from '../base/errors.js';
import { untilInterrupted } from '../base/signals.js';
import { isUpToDate } from '../base/stamp.js';
import { buildDebugKernel, debugKernelStep } from '../vm/debug-kernel.js';
import { type GuestOptions, runInGuest } from '../vm/guest.js';
import { type KernelName, kernelNames } from '../vm/kernel.js';
import { moduleStep, moduleTask } from '../vm/module.js';
import { prepareGuest } from '../vm/prepare.js';
import { wholeNumber } from './numbers.js';

type VmOptions = {
  kernel: KernelName;
  debugKernel?: boolean;
  setup: boolean;
  cpus: string;
  memory: string;
  timeLimit: string;
  module: boolean | string;
  moduleParameter: string[];
  kernelOption: string[];
  writable: string[];
  environment: string[];
  icount?: boolean;
  kernelLog?: string;
};

const another = (value: string, before: string[]) => [...before, value];

/** `megapipe vm`: run a command in a virtual machine, with the kernel module. */
export function addVmCommand(program: Command): void {
  program
    .command('vm')
    .description('run a command in a virtual machine in which our kernel module is loaded')
    .usage('[options] -- COMMAND [ARGUMENT…]')
    .argument('<command...>', 'what to run there, as root; its exit status is this command’s')
    .addOption(new Option('--kernel <series>', 'Debian’s kernel').choices(kernelNames).default('6.1'))
    .option('--debug-kernel', 'one of that series that looks for mistakes; built first, in half an hour')
    .option('--cpus <n>', 'how many', '2')
    .option('--memory <MiB>', 'how much', '2048')
    .option('--time-limit <s>', 'end it, as a failure, after so long', '600')
    .option('--module-parameter <name=value>', 'of our module; may be given again', another, [])
    .addOption(new Option('--module <file>', 'another module instead of ours'))
    .option('--no-module', 'do without our module')
    .option('--kernel-option <word>', 'for the kernel’s command line; may be given again', another, [])
    .option(
      '--writable <folder>',
      'what is written there stays; elsewhere it is lost; may be given again',
      another,
      [],
    )
    .option('--environment <name=value>', 'beside PATH and HOME; may be given again', another, [])
    .option('--icount', 'one CPU, and a clock that goes on by 1 ns an instruction')
    .option('--no-setup', 'take kernel and module as they are built')
    .option('--kernel-log <file>', 'keep the kernel’s log (default: only if something goes wrong)')
    .action(vm);
}

async function vm(command: string[], options: VmOptions): Promise<void> {
  const chosen = chooseGuest(command, options);
  if (options.setup) await buildForGuest(options);
  await untilInterrupted(
    async (interrupted) => {
      const unread = new AbortController();
      for (const output of [process.stdout, process.stderr]) output.on('error', () => unread.abort());
      const signal = AbortSignal.any([interrupted, unread.signal]);
      try {
        process.exitCode = (await runInGuest({ ...chosen, ...ownStreams(), signal })).exitCode;
      } finally {
        // Else this process would wait for what nobody reads any more.
        process.stdin.destroy();
      }
    },
    () => 'the virtual machine was ended',
  );
}

/** In silence, since what is heard of this command is another one's output; errors are told as ever. */
async function buildForGuest({ kernel, debugKernel, module }: VmOptions): Promise<void> {
  if (debugKernel && !isUpToDate(debugKernelStep(kernel))) {
    console.error(`megapipe: building kernel ${kernel} for debugging, which takes half an hour`);
    await withBuildLock(() => buildDebugKernel(kernel));
  }
  const guest = await prepareGuest(kernel, debugKernel);
  if (module === false || typeof module === 'string' || isUpToDate(moduleStep(guest))) return;
  await withBuildLock(() => moduleTask(kernel, () => guest).run());
}

function ownStreams() {
  return {
    stdin: process.stdin,
    onStdout: (chunk: Buffer) => void process.stdout.write(chunk),
    onStderr: (chunk: Buffer) => void process.stderr.write(chunk),
  };
}

function chooseGuest(command: string[], options: VmOptions): GuestOptions {
  return {
    command,
    kernel: options.kernel,
    debugKernel: options.debugKernel ?? false,
    cpus: wholeNumber('--cpus', options.cpus, 1, 64),
    memoryMiB: wholeNumber('--memory', options.memory, 256, 2 ** 20),
    timeLimit: wholeNumber('--time-limit', options.timeLimit, 1, 10 ** 6),
    module: options.module,
    moduleParameters: options.moduleParameter,
    kernelOptions: options.kernelOption,
    writable: options.writable,
    environment: Object.fromEntries(options.environment.map(splitSetting)),
    icount: options.icount ?? false,
    ...(options.kernelLog ? { kernelLogFile: options.kernelLog } : {}),
  };
}

function splitSetting(setting: string): [string, string] {
  const at = setting.indexOf('=');
  if (at > 0) return [setting.slice(0, at), setting.slice(at + 1)];
  throw new UserError(`--environment ${setting} has no "="`, { hint: 'give NAME=VALUE', exitCode: 2 });
}
