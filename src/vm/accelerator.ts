import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release as hostRelease } from 'node:os';
import { join } from 'node:path';
import { type GuestKernel, vmDir } from './kernel.js';
import type { Accelerator, Machine } from './qemu.js';
import { superviseGuest } from './supervise.js';

/** A boot takes a guest with KVM a second; one that hangs costs this much, once. */
const probeLimit = 15;

/**
 * KVM where it starts this kernel, else emulation. That /dev/kvm is there proves nothing: inside other virtual machines
 * guests may hang. So a guest is started, and whether it came to its end is remembered for this host's kernel.
 */
export async function chooseAccelerator(kernel: GuestKernel): Promise<Accelerator> {
  if (!mayUseKvm()) return 'tcg';
  const verdicts = join(vmDir, 'kvm');
  const verdict = join(verdicts, `${kernel.release}-on-${hostRelease()}`);
  if (!existsSync(verdict)) {
    mkdirSync(verdicts, { recursive: true });
    writeFileSync(verdict, (await startsWithKvm(kernel, `${verdict}.log`)) ? 'kvm' : 'tcg');
  }
  return readFileSync(verdict, 'utf8') === 'kvm' ? 'kvm' : 'tcg';
}

function mayUseKvm(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function startsWithKvm(kernel: GuestKernel, log: string): Promise<boolean> {
  const machine: Machine = {
    ...{ kernel, log, accelerator: 'kvm', cpus: 2, memoryMiB: 512, icount: false },
    ...{ kernelOptions: [], writable: [], nonce: 'probe' },
  };
  const job = {
    command: ['true'],
    cwd: '/',
    environment: { PATH: '/usr/bin:/bin' },
    writable: [],
    stdin: false,
  };
  const streams = { stdout: () => undefined, stderr: () => undefined };
  const end = await superviseGuest(machine, job, { streams, timeLimit: probeLimit });
  rmSync(log, { force: true });
  return end.kind === 'done' && end.exitCode === 0;
}
