import { UserError } from '../../base/errors.js';
import { type EngineName, engineName, type TechniqueName, type Variant } from '../../results/schema.js';

/** The paper's letters and their order of accumulation (Table 3). */
const letters: readonly [letter: string, technique: TechniqueName][] = [
  ['P', 'partition'],
  ['B', 'batch'],
  ['L', 'lwsocket'],
];

/** libmegapipe's default threshold. */
export const defaultBatch = 32;

const stock = {
  server: 'baseline' as const,
  engine: null,
  techniques: [],
  batch: null,
  moderationUs: 0,
  fineGrainedLocks: false,
};

/** Stock I/O as the paper measured it: one accept queue for all workers. */
export const baseline: Variant = { ...stock, id: 'baseline', reuseport: false };

/** Stock I/O with an accept queue a worker, as one would run it today. */
export const reuseport: Variant = { ...stock, id: 'reuseport', reuseport: true };

/** The same, each queue being that of the CPU that handles a connection's packets: what P gives without MegaPipe. */
export const steered: Variant = { ...stock, id: 'steered', reuseport: true };

/** One accept queue, and a short sleep before events are asked for: what waiting for a batch gives without MegaPipe. */
export const sleep: Variant = { ...stock, id: 'sleep', reuseport: false };

/** io_uring used by hand, with all that it has for servers: what our library costs. */
export const raw: Variant = { ...stock, id: 'raw', reuseport: true };

/** Everything that isn't MegaPipe. */
export const allStock = [baseline, reuseport, steered, sleep, raw];

/** The baseline once more: compared with itself it says what this machine can tell apart today. */
export const again: Variant = { ...baseline, id: 'again' };

/** What runs as a variant: the baseline's twin is the baseline. */
export const twinOf = (variant: Variant) => (variant.id === again.id ? baseline : variant);

/**
 * MegaPipe on an engine with some of its techniques.
 *
 * @param batch the threshold, where batching is one of them
 */
export function megapipe(
  engine: EngineName,
  techniques: readonly TechniqueName[],
  batch = defaultBatch,
): Variant {
  const own = letters.filter(([, technique]) => techniques.includes(technique));
  const suffix = own.map(([letter]) => letter).join('');
  return {
    id: suffix ? `${engine}+${suffix}` : engine,
    server: 'megapipe',
    engine,
    techniques: own.map(([, technique]) => technique),
    batch: techniques.includes('batch') ? batch : 1,
    reuseport: false,
    moderationUs: 0,
    fineGrainedLocks: false,
  };
}

/** As libmegapipe has it. */
export const longestModerationUs = 10_000;

/** Whether an engine can wait for a batch: epoll takes what is there. */
export const waits = (engine: EngineName | null) => engine !== 'epoll';

function refuseToWait({ id, engine, techniques }: Variant, moderationUs: number): void {
  const refuse = (why: string, hint: string): never => {
    throw new UserError(`${id} can’t wait ${moderationUs} µs for a batch: ${why}`, { hint, exitCode: 2 });
  };
  if (engine === null) refuse('it has no channels', 'over stock I/O, "sleep" of echo waits for more events');
  if (!waits(engine)) refuse('engine epoll takes what is there', 'others wait, such as uring+PBL-W50');
  if (!techniques.includes('batch')) refuse('it has no batches', 'give it a B, as in uring+PBL-W50');
  if (moderationUs < 1 || moderationUs > longestModerationUs)
    refuse('there is a limit', `it can wait from 1 to ${longestModerationUs} µs`);
}

/** The same with wake-up moderation: its channels wait so long at most for a batch of completions. Not all can. */
export function moderated(variant: Variant, moderationUs: number): Variant {
  refuseToWait(variant, moderationUs);
  return { ...variant, id: `${variant.id}-W${moderationUs}`, moderationUs };
}

const fineSuffix = '-FL';

/** The same without a lock for all of the server's data, where the application can do without it: the paper's -FL. */
export function fineGrained(variant: Variant): Variant {
  return { ...variant, id: `${variant.id}${fineSuffix}`, fineGrainedLocks: true };
}

/** All techniques: what a user would run. */
export function whole(engine: EngineName): Variant {
  return megapipe(
    engine,
    letters.map(([, technique]) => technique),
  );
}

/** The techniques accumulated in the paper's order: +P, +PB, +PBL. */
export function accumulated(engine: EngineName): Variant[] {
  return letters.map((_, index) =>
    megapipe(
      engine,
      letters.slice(0, index + 1).map(([, technique]) => technique),
    ),
  );
}

/** A variant from its id, as the command line gives it: `baseline`, `steered`, `uring`, `uring+P`, `uring+PBL-W50-FL`. */
export function parseVariant(id: string): Variant {
  return id.endsWith(fineSuffix)
    ? fineGrained(parseWaiting(id.slice(0, -fineSuffix.length)))
    : parseWaiting(id);
}

function parseWaiting(id: string): Variant {
  const [, form, digits] = /^(.*)-W(\d+)$/.exec(id) ?? [];
  if (form === undefined) return parsePlain(id);
  return moderated(parsePlain(form), Number(digits));
}

function parsePlain(id: string): Variant {
  const own = [...allStock, again].find((variant) => variant.id === id);
  if (own) return own;
  const [, engine, suffix = ''] = /^([a-z]+)(?:\+([A-Z]+))?$/.exec(id) ?? [];
  const known = engineName.safeParse(engine);
  const techniques = [...suffix].map((letter) => letters.find(([own]) => own === letter)?.[1]);
  if (!known.success || techniques.includes(undefined)) {
    throw new UserError(`there is no variant "${id}"`, {
      hint: `a variant is ${allStock.map(({ id: own }) => own).join(', ')}, or an engine (${engineName.options.join(', ')}) with techniques: uring+PBL, epoll+P, uring`,
      exitCode: 2,
    });
  }
  return megapipe(known.data, techniques as TechniqueName[]);
}
