import { UserError } from '../../base/errors.js';
import type { EngineName, RequestsPerConnection, Variant } from '../../results/schema.js';
import { connections } from '../application/grid.js';
import { accumulated, baseline, whole } from '../application/variant.js';
import { findApplication } from '../applications.js';
import { inTurn } from '../plan.js';

/** What can be measured in a guest. */
export const subjectNames = ['echo', 'memcached', 'nginx'] as const;

/** Name of what is measured in a guest. */
export type SubjectName = (typeof subjectNames)[number];

/** What is measured in one guest. */
export type GuestPlan = {
  subject: SubjectName;
  /** Another version of the application than the port's usual one. */
  version?: string | undefined;
  variants: Variant[];
  /** Transactions a connection. */
  points: RequestsPerConnection[];
  /** Rounds, each with every variant at every point. */
  samples: number;
  /** Transactions of a sample that are counted, and those before. */
  transactions: number;
  warmup: number;
};

/** One sample to be taken. */
export type GuestOrder = { variant: Variant; requestsPerConnection: RequestsPerConnection; round: number };

/** What the command line may change. */
type GuestChoices = {
  preset: 'quick' | 'full';
  subject: SubjectName;
  version?: string | undefined;
  variants: Variant[] | undefined;
  points: RequestsPerConnection[] | undefined;
  samples: number | undefined;
};

const presets = {
  quick: { samples: 3, transactions: 20 * connections },
  full: { samples: 5, transactions: 80 * connections },
};

/** Techniques are told apart on the engine that the guest is for. */
const usual: Variant[] = [baseline, whole('uring'), ...accumulated('kernel')];

/** The preset with what the user chose. Every ratio is to the baseline of the same round, so it is always there. */
export function makeGuestPlan(choices: GuestChoices): GuestPlan {
  const { preset, subject, version, variants, points, samples } = choices;
  // There may be no such version.
  findApplication(subject, version);
  const chosen = variants ?? usual;
  const foreign = chosen.find(
    ({ id, server, fineGrainedLocks }) => fineGrainedLocks || (server === 'baseline' && id !== baseline.id),
  );
  if (foreign) {
    throw new UserError(`there is no variant ${foreign.id} in a guest, which has one CPU`, {
      hint: 'give baseline, or engines with techniques: uring+PBL,kernel+PBL',
      exitCode: 2,
    });
  }
  return {
    subject,
    version,
    variants: chosen.some(({ id }) => id === baseline.id) ? chosen : [baseline, ...chosen],
    points: points ?? [1, 10, 'unlimited'],
    samples: samples ?? presets[preset].samples,
    transactions: presets[preset].transactions,
    warmup: 10 * connections,
  };
}

/** The samples in the order of taking: rounds of all points, each with its variants side by side. */
export function guestOrders({ samples, points, variants }: GuestPlan): GuestOrder[] {
  return Array.from({ length: samples }, (_, round) =>
    points.flatMap((requestsPerConnection) =>
      inTurn(variants, round).map((variant) => ({ variant, requestsPerConnection, round })),
    ),
  ).flat();
}

/** The engines that a plan needs. */
export function enginesOf({ variants }: GuestPlan): EngineName[] {
  return [...new Set(variants.flatMap(({ engine }) => engine ?? []))];
}
