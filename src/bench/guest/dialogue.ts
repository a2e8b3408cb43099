import type { MachineDescription } from '../../host/machine.js';

/** What the part in the guest tells the part outside, a line each. */
export type GuestSaying =
  | { type: 'begun'; machine: MachineDescription }
  | { type: 'symbols'; text: string }
  | { type: 'taken'; transactions: number; connections: number; ns: number }
  | { type: 'failed'; reason: string };
