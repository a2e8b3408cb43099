import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { root } from '../../src/base/paths.js';
import { type GuestOptions, runInGuest } from '../../src/vm/guest.js';

/** A program to run in a guest. */
export type Program = {
  /** Of one line; another one for each. */
  name: string;
  command: string[];
};

/** What came of a program. It was skipped if it said so by its exit status; then its last line says why. */
export type Outcome = { result: 'passed' | 'failed' | 'skipped'; output: string };

/** What came of all of them. */
export type Run = {
  outcomes: Map<string, Outcome>;
  /** What was wrong with the guests themselves: their kernel complained, or the module could not be removed. */
  faults: string[];
};

/** How to run programs: a guest, and how long one of them may take, in seconds. */
export type RunOptions = Omit<GuestOptions, 'command' | 'stdin' | 'onStdout'> & { programLimit?: number };

/** Programs that bring down so many guests are enough to know. */
const mostGuests = 4;

/** A program that hangs ends itself so long before it is ended, to say so. */
const wordsSeconds = 30;

const exitSkipped = 77;

/**
 * Run programs in one guest, one after another. A program fails, too, if something of the module is left in use after
 * it. One that brings down the guest has failed, and the rest runs in another guest.
 */
export async function runPrograms(programs: Program[], options: RunOptions = {}): Promise<Run> {
  const run: Run = { outcomes: new Map(), faults: [] };
  for (let guests = 0; guests < mostGuests; guests++) {
    const left = programs.filter(({ name }) => !run.outcomes.has(name));
    if (left.length === 0) return run;
    await runSome(left, options, run);
  }
  return run;
}

/** What came of a program; a failure if it never ran. */
export function outcomeOf(run: Run, program: Program): Outcome {
  const notRun = `it was not run:\n${run.faults.join('\n')}`;
  return run.outcomes.get(program.name) ?? { result: 'failed', output: notRun };
}

/** Runs programs till one brings down the guest. */
async function runSome(programs: Program[], options: RunOptions, run: Run): Promise<void> {
  const mark = `=== ${randomBytes(8).toString('hex')}`;
  const chunks: Buffer[] = [];
  const { programLimit = 330, kernelOptions = [], ...guest } = options;
  const script = join(root, 'test/vm/run-programs.sh');
  try {
    const { stderr } = await runInGuest({
      timeLimit: 3600,
      ...guest,
      // Else caches of one size are one, and nobody can tell whose objects are left.
      kernelOptions: ['slab_nomerge', ...kernelOptions],
      environment: { MEGAPIPE_TEST_TIME_LIMIT_S: `${programLimit - wordsSeconds}` },
      command: ['sh', script, mark, `${programLimit}`],
      stdin: Readable.from(programs.map(listed)),
      onStdout: (chunk) => chunks.push(chunk),
    });
    if (stderr) run.faults.push(stderr);
  } catch (error) {
    run.faults.push((error as Error).message);
  }
  takeOutcomes(Buffer.concat(chunks).toString(), mark, run);
}

/** Reads what run-programs.sh says. */
function takeOutcomes(output: string, mark: string, run: Run) {
  for (const part of output.split(`${mark} begin `).slice(1)) {
    const [text = '', status] = part.split(`\n${mark} end `);
    const [name = '', ...lines] = text.split('\n');
    const said = lines.join('\n').trim();
    run.outcomes.set(name, status ? ended(said, Number(status)) : broughtDown(said, run));
  }
}

function ended(output: string, status: number): Outcome {
  if (status === 0) return { result: 'passed', output };
  if (status === exitSkipped) return { result: 'skipped', output };
  return { result: 'failed', output: `${output}\nexit status ${status}` };
}

function broughtDown(output: string, { faults }: Run): Outcome {
  return { result: 'failed', output: `${output}\nthe guest went down:\n${faults.at(-1)}` };
}

function listed({ name, command }: Program): string {
  return `${name}\t${command.map(quoted).join(' ')}\n`;
}

/** A word as the shell takes it. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
