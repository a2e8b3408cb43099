import { withBuildLock } from '../base/build-lock.js';
import { outcomeOf, runTasks, type Task } from '../base/tasks.js';
import { libraryTask } from '../build/native.js';
import { installTask } from '../debian/install.js';
import { buildVariant, whyUnavailable } from './build.js';
import { countLines } from './lines.js';
import { lookPort, type Port, type Variant, variants } from './port.js';
import { fetchSource, type Source, type SourceChoice } from './source.js';
import { makeTree } from './tree.js';

/** What to build of an application. */
type BuildChoice = SourceChoice & {
  variant: Variant | 'all';
  /** One of the port's versions, or a release of Debian whose version is meant. */
  version?: string;
  sanitize?: boolean;
  output?: string;
};

/** Build an application's variants, showing each step; what is up to date is left alone. */
export async function buildApplication(name: string, choice: BuildChoice): Promise<void> {
  // What is asked for wrongly is said at once, whoever else builds.
  const port = await lookPort(name, choice.version, choice.output);
  await withBuildLock(async () => {
    const needsLibrary = chosenVariants(choice).includes('megapipe') && !whyUnavailable(port, 'megapipe');
    const packages = port.packages.length > 0 ? [installTask(port.packages)] : [];
    const library = needsLibrary ? [libraryTask(choice.sanitize)] : [];
    await runTasks([...packages, ...library, ...portTasks(port, choice)]);
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
