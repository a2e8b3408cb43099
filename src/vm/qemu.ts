import { readFileSync } from 'node:fs';
import { initramfsFile } from './initramfs.js';
import type { GuestKernel } from './kernel.js';

/** How a guest's CPUs are made: by the host's, or emulated. */
export type Accelerator = 'kvm' | 'tcg';

/** A virtual machine. */
export type Machine = {
  kernel: GuestKernel;
  accelerator: Accelerator;
  cpus: number;
  memoryMiB: number;
  /** A clock that goes on by 1 ns an instruction, on one CPU. */
  icount: boolean;
  /** Words for the kernel's command line. */
  kernelOptions: string[];
  /** Words for qemu's. */
  emulatorOptions?: string[];
  /** Folders of the host in which the guest may write. */
  writable: string[];
  /** The word by which the guest's first process is known. */
  nonce: string;
  /** Where the kernel's log goes. */
  log: string;
};

/** The program that runs guests. */
export const qemu = 'qemu-system-x86_64';

/** Virtio ports in the order of the file descriptors, from 3 on, that qemu inherits for them. */
export const ports = ['control', 'stdout', 'stderr', 'stdin'] as const;

/** The first descriptor of a port. */
export const firstPort = 3;

/** qemu's command line for a machine. */
export function qemuCommand(machine: Machine): string[] {
  return [
    qemu,
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-machine', board(machine), '-m', `${machine.memoryMiB}M`, ...processors(machine)],
    ...['-kernel', machine.kernel.image, '-initrd', initramfsFile(machine.kernel)],
    ...['-append', kernelCommandLine(machine)],
    ...['-chardev', `file,id=log,path=${quoted(machine.log)}`, '-serial', 'chardev:log'],
    ...['-device', `virtio-serial-${bus(machine)}`, ...ports.flatMap(portDevice)],
    ...sharedFolder(machine, 'root', '/', 'readonly=on,'),
    ...machine.writable.flatMap((folder, index) => sharedFolder(machine, `writable${index}`, folder, '')),
    ...(machine.emulatorOptions ?? []),
  ];
}

/**
 * A PC, whose timers agree on what time is: a guest on a busy host finds out that it stood still while it measured its
 * CPUs' timers. Without that it would take them for far too fast or slow, and may wait for ever. By counted instructions
 * no guest stands still, and a board with less on it is enough: without the old interrupt controller, which Linux does not
 * set up there, and the timer that would interrupt through it (as vector 0, a division by zero, on qemu 10).
 */
function board({ icount }: Machine): string {
  return icount ? 'microvm,acpi=on,rtc=on,pit=off,pic=off' : 'q35';
}

function bus({ icount }: Machine): string {
  return icount ? 'device' : 'pci';
}

function processors({ accelerator, cpus, icount, kernel }: Machine): string[] {
  if (icount)
    return ['-accel', 'tcg,thread=single', '-icount', 'shift=0,sleep=on', '-cpu', 'max', '-smp', '1'];
  const how = accelerator === 'kvm' ? 'kvm' : `tcg,thread=${kernel.parallel ? 'multi' : 'single'}`;
  return ['-accel', how, '-cpu', 'max', '-smp', `${cpus}`];
}

/**
 * What is wrong in the kernel ends the guest. Its watchdogs are told to be patient: a host that is busy with other things
 * makes emulated CPUs stand still for seconds.
 */
function kernelCommandLine(machine: Machine): string {
  const { kernelOptions, nonce } = machine;
  const ends = ['oops=panic', 'panic_on_warn=1', 'panic=-1'];
  const patience = ['watchdog_thresh=60', 'rcupdate.rcu_cpu_stall_timeout=120', 'tsc=reliable'];
  const words = [...ends, ...patience, clockRate(machine), `megapipe.nonce=${nonce}`, ...kernelOptions];
  return ['console=ttyS0', ...words].join(' ');
}

/**
 * An emulated CPU's time stamp counter is the host's, or counts nanoseconds with icount. The guest is told its rate:
 * measuring it against an emulated timer fails on a busy host, and then the guest waits for ever. What the host says is
 * the counter's rate in virtual machines; on bare metal, where KVM tells its guests itself, it may be a bit off.
 */
function clockRate({ accelerator, icount }: Machine): string {
  if (icount) return 'tsc_early_khz=1000000';
  if (accelerator === 'kvm') return '';
  const mhz = /^cpu MHz\s*: (?<mhz>[\d.]+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.groups?.mhz;
  return mhz ? `tsc_early_khz=${Math.round(Number(mhz) * 1000)}` : '';
}

function portDevice(name: string, index: number): string[] {
  return [
    ...['-chardev', `socket,id=${name},fd=${firstPort + index}`],
    ...['-device', `virtserialport,chardev=${name},name=${name}`],
  ];
}

function sharedFolder(machine: Machine, tag: string, path: string, options: string): string[] {
  return [
    '-fsdev',
    `local,id=${tag},path=${quoted(path)},security_model=none,${options}multidevs=remap`,
    ...['-device', `virtio-9p-${bus(machine)},fsdev=${tag},mount_tag=${tag}`],
  ];
}

/** A comma would end a value of qemu's. */
function quoted(value: string): string {
  return value.replaceAll(',', ',,');
}
