import { type Channels, engineName, techniqueName } from '../../../results/schema.js';
import type { Identity } from '../application.js';
import { baseline, fineGrained } from '../variant.js';

/**
 * Read the answer to `stats megapipe`. A server without the port does not know the command, and a patched one that
 * runs without MegaPipe says so: no channels either way.
 */
export function readChannels(answer: string): Channels | null {
  const stats = new Map(
    [...answer.matchAll(/^STAT (\S+) (.*?)\r?$/gm)].map(([, name, value]) => [name, value]),
  );
  if (stats.get('enabled') !== 'yes') return null;
  const count = (name: string) => {
    const value = stats.get(name);
    if (value === undefined) throw new Error(`the server’s "stats megapipe" has no ${name}`);
    return Number(value);
  };
  return {
    engine: engineName.parse(stats.get('engine')),
    techniques: techniqueName.options.filter((name) =>
      name === 'batch' ? count(name) > 1 : stats.get(name) === 'yes',
    ),
    batch: count('batch'),
    moderationUs: count('moderation_us'),
    operations: count('requests'),
    crossings: count('crossings'),
    largestBatch: count('batch_max'),
  };
}

/** What a server runs as, from its answers to `stats megapipe` and `stats locks`. */
export function identityIn(channels: string, locks: string): Identity {
  const fineGrainedLocks = /^STAT fine_grained_locks yes\r?$/m.test(locks);
  const own = readChannels(channels);
  if (own) return { ...own, fineGrainedLocks };
  return fineGrainedLocks ? { stock: fineGrained(baseline).id } : null;
}
