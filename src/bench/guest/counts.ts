import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

const count = z.int().nonnegative();

/** As native/count.c writes it. */
const counted = z.strictObject({
  overflown: z.boolean(),
  tasks: z.array(
    z.strictObject({
      task: z.string(),
      marking: z.boolean(),
      user: count,
      kernel: count,
      repeats: count,
      calls: count,
    }),
  ),
  blocks: z.array(z.tuple([z.string(), count, count])).optional(),
});

type Task = z.infer<typeof counted>['tasks'][number];

/** What was executed by some of the guest's tasks between the client's marks. */
const instructionsSchema = z.strictObject({
  /** Instructions in user mode and in the kernel, whatever the kernel did then. */
  user: count,
  kernel: count,
  /** Repetitions of string instructions, which are not among them. */
  repeats: count,
  systemCalls: count,
});

export type Instructions = z.infer<typeof instructionsSchema>;

/** The tasks of a guest: the client, the kernel's own threads, and all others, of which the server is the one that works. */
export const tasksSchema = z.strictObject({
  client: instructionsSchema,
  server: instructionsSchema,
  kernelThreads: instructionsSchema,
});

type Tasks = z.infer<typeof tasksSchema>;

/** Instructions in the blocks of code that were executed: address, by the client, by others. */
export type Blocks = [address: string, client: number, others: number][];

/** What the plugin counted, window by window, as far as it is written. */
export function readCounts(file: string): { tasks: Tasks; blocks: Blocks }[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => sortTasks(counted.parse(JSON.parse(line))));
}

function sortTasks({ overflown, tasks, blocks = [] }: z.infer<typeof counted>) {
  if (overflown) throw new Error('there were more tasks than native/count.c has room for');
  const others = tasks.filter(({ marking }) => !marking);
  return {
    tasks: {
      client: sum(tasks.filter(({ marking }) => marking)),
      server: sum(others.filter(({ user }) => user > 0)),
      kernelThreads: sum(others.filter(({ user }) => user === 0)),
    },
    blocks,
  };
}

function sum(tasks: Task[]): Instructions {
  const add = (member: 'user' | 'kernel' | 'repeats' | 'calls') =>
    tasks.reduce((total, task) => total + task[member], 0);
  return { user: add('user'), kernel: add('kernel'), repeats: add('repeats'), systemCalls: add('calls') };
}
