import { Listr, PRESET_TIMER } from 'listr2';

const settings = {
  fallbackRenderer: 'simple',
  rendererOptions: { collapseErrors: false, showErrorMessage: false, timer: PRESET_TIMER },
  fallbackRendererOptions: { timer: PRESET_TIMER },
} as const;

/** What a task found to do: something, nothing because it was done before, or nothing for a reason. */
export type Outcome = 'done' | 'up to date' | { skipped: string };

/** One step of the set-up, named for the person who waits for it. */
export type Task = { title: string; run: () => Promise<Outcome> };

/** Run tasks one after another: live on a terminal, plain lines elsewhere. The first failure stops and is thrown. */
export async function runTasks(tasks: Task[]): Promise<void> {
  const failures: unknown[] = [];
  const list = new Listr(
    tasks.map(({ title, run }) => ({
      title,
      task: async (_context, task) => {
        const outcome = await run().catch((error: unknown) => {
          failures.push(error);
          // The whole story is told once, where the error is caught.
          throw new Error('failed');
        });
        if (typeof outcome === 'object') task.skip(`${title}: ${outcome.skipped}`);
        else if (outcome === 'up to date') task.title = `${title}: up to date`;
      },
    })),
    settings,
  );
  try {
    await list.run();
  } catch (error) {
    throw failures[0] ?? error;
  }
}

/** Work that says how far it is, on a line below its title. */
export type Work = { title: string; run: (tell: (line: string) => void) => Promise<void> };

/**
 * Do work one after another beside what is being measured: no spinner, which would take time from its CPUs. The first
 * failure ends it and is thrown.
 */
export async function runQuietly(works: Work[]): Promise<void> {
  const failures: unknown[] = [];
  const list = new Listr(
    works.map(({ title, run }) => ({
      title,
      task: async (_context, task) => {
        const tell = (line: string) => {
          task.output = line;
        };
        await run(tell).catch((error: unknown) => {
          failures.push(error);
          throw error;
        });
      },
    })),
    {
      ...settings,
      // Interrupts are ours: listr2 would leave at once, and servers and namespaces would stay.
      registerSignalListeners: false,
      rendererOptions: { ...settings.rendererOptions, lazy: true },
    },
  );
  await list.run().catch((error: unknown) => {
    throw failures[0] ?? error;
  });
}

/** The outcome of a step that says whether it did anything. */
export function outcomeOf(didWork: boolean): Outcome {
  return didWork ? 'done' : 'up to date';
}
