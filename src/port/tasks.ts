import { withBuildLock } from '../base/build-lock.js';
import { outcomeOf, runTasks, type Task } from '../base/tasks.js';
import { libraryTask } from '../build/native.js';
import { buildVariant, whyUnavailable } from './build.js';
import { countLines } from './lines.js';
import { type Port, type Variant, variants } from './port.js';
import { portForRelease } from './release.js';
import { fetchSource, type Source, type SourceChoice } from './source.js';
import { makeTree } from './tree.js';
import { loadPortVersion } from './version.js';

/** What to build of an application. */
type BuildChoice = SourceChoice & {
  variant: Variant | 'all';
  /** The distribution's release to take the source from. */
  release?: string;
  /** One of the port's other versions. */
  version?: string;
  sanitize?: boolean;
  output?: string;
};

/** Build an application's variants, showing each step; what is up to date is left alone. */
export async function buildApplication(name: string, choice: BuildChoice): Promise<void> {
  const usual = loadPortVersion(name, choice.version, choice.output);
  await withBuildLock(async () => {
    const port = choice.release ? await portForRelease(usual, choice.release) : usual;
    const needsLibrary = chosenVariants(choice).includes('megapipe') && !whyUnavailable(port, 'megapipe');
    const tasks = needsLibrary ? [libraryTask(choice.sanitize)] : [];
    await runTasks([...tasks, ...portTasks(port, choice)]);
  });
}

/** An application's source, patched tree and variants. */
export function portTasks(port: Port, choice: BuildChoice): Task[] {
  let source: Source;
  const getSource = async () => {
    source = await fetchSource(port, choice);
    return outcomeOf(await makeTree(port, source));
  };
  const title = `${port.name} ${port.version}: source and patches`;
  const count = async () => outcomeOf(await countLines(port, source));
  return [
    { title, run: getSource },
    { title: `${port.name}: lines that the port changes`, run: count },
    ...chosenVariants(choice).map((variant) => variantTask(port, variant, choice)),
  ];
}

function chosenVariants(choice: BuildChoice): readonly Variant[] {
  return choice.variant === 'all' ? variants : [choice.variant];
}

/** One variant, of a tree that is there. */
export function variantTask(port: Port, variant: Variant, choice: BuildChoice): Task {
  const title = `${port.name} ${variant}${choice.sanitize ? ' with sanitizers' : ''}`;
  const run = async () => {
    const skipped = choice.variant === 'all' ? whyUnavailable(port, variant) : undefined;
    return skipped ? { skipped } : outcomeOf(await buildVariant(port, variant, choice.sanitize));
  };
  return { title, run };
}
