import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { UserError } from '../../base/errors.js';
import { writing } from '../../results/file.js';
import { machineDescription, requestsPerConnection, variantSchema } from '../../results/schema.js';
import { tasksSchema } from './counts.js';
import { subjectNames } from './plan.js';

// A file of what was counted in a guest: a head, a line a sample, an end. Raw counts, as in the other results.

/** The format that is written and read. */
export const guestFormat = 1;

const head = z.strictObject({
  type: z.literal('guest'),
  format: z.literal(guestFormat),
  startedAt: z.iso.datetime(),
  subject: z.enum(subjectNames),
  parameters: z.record(z.string(), z.union([z.string(), z.number()])),
  host: machineDescription,
  guest: machineDescription,
  /** qemu's version, and its command line as far as it says how the guest's CPU is emulated. */
  emulator: z.strictObject({ version: z.string(), options: z.array(z.string()) }),
  plan: z.strictObject({
    samples: z.int().positive(),
    transactions: z.int().positive(),
    warmup: z.int().nonnegative(),
    connections: z.int().positive(),
  }),
});

const order = {
  variant: variantSchema,
  requestsPerConnection,
  /** Variants of one point are measured one after another in a round: the pairs that are compared. */
  round: z.int().nonnegative(),
};

const counted = z.strictObject({
  type: z.literal('counted'),
  ...order,
  transactions: z.int().positive(),
  /** Connections that were begun meanwhile. */
  connections: z.int().nonnegative(),
  /** By the guest's clock, which goes on by 1 ns an instruction, repetitions of string instructions included. */
  ns: z.int().positive(),
  tasks: tasksSchema,
});

const failed = z.strictObject({ type: z.literal('failed'), ...order, reason: z.string() });

const end = z.strictObject({
  type: z.literal('end'),
  endedAt: z.iso.datetime(),
  outcome: z.enum(['complete', 'interrupted']),
});

const guestRecord = z.discriminatedUnion('type', [head, counted, failed, end]);

type GuestHead = z.infer<typeof head>;
export type CountedSample = z.infer<typeof counted>;
export type GuestRecord = z.infer<typeof guestRecord>;

/** One run, as read from its file. */
export type GuestResults = {
  head: GuestHead;
  counted: CountedSample[];
  failed: z.infer<typeof failed>[];
  end: z.infer<typeof end> | undefined;
};

/** Append one record. */
export function appendGuestRecord(file: string, record: GuestRecord): void {
  const line = `${JSON.stringify(guestRecord.parse(record))}\n`;
  writing(file, () => {
    mkdirSync(dirname(file), { recursive: true });
    appendFileSync(file, line);
  });
}

/** Whether a results file is one of a guest. */
export function isGuestFile(file: string): boolean {
  try {
    return readFileSync(file, 'utf8').startsWith('{"type":"guest"');
  } catch {
    return false;
  }
}

/** Read and validate a file; the error names the line that is wrong. */
export function readGuestResults(file: string): GuestResults[] {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const records = lines.map((line, index) => parseLine(file, line, index + 1));
  const starts = records.flatMap((record, index) => (record.type === 'guest' ? [index] : []));
  return starts.map((start, run) => {
    const own = records.slice(start, starts[run + 1]);
    return {
      head: own[0] as GuestHead,
      counted: own.filter((record) => record.type === 'counted'),
      failed: own.filter((record) => record.type === 'failed'),
      end: own.find((record) => record.type === 'end'),
    };
  });
}

function parseLine(file: string, line: string, number: number): GuestRecord {
  try {
    return guestRecord.parse(JSON.parse(line));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new UserError(`${file}, line ${number}, is not a record of a guest: ${why}`, { cause: error });
  }
}
