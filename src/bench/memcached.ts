import { loadPort, serverBinary } from '../port.js';
import type { Variant } from '../results.js';
import type { Application, ServerPlace } from './application.js';
import { readChannels } from './memcached-channels.js';
import { loadCommand, parameters, readLoad } from './memcached-load.js';

/**
 * Memory far beyond what is stored, so that nothing is evicted, and a hash table that never grows while we measure: the
 * paper's 2^22 entries (its 4 GiB of memory hold more items than we store). Workers are pinned, the baseline's too (paper,
 * footnote 5).
 */
const commonArguments = ['-U', '0', '-m', '1024', '-c', '4096', '-o', 'hashpower=22,pin_threads'];

/** memcached as the paper loads it (section 5.2): memaslap's default workload. */
export const memcached: Application = {
  name: 'memcached',
  workload: 'gets and sets over TCP, every value stored before and verified when got, closed loop',
  parameters,
  concurrency: parameters.connections,
  commonArguments,
  serverCommand: (variant, place) =>
    memcachedCommand(serverBinary(loadPort('memcached'), variant.server), variant, place),
  ready: { words: 'version\r\nquit\r\n', answer: /^VERSION / },
  channels: { words: 'stats megapipe\r\nquit\r\n', read: readChannels },
  loadCommand,
  readLoad,
};

/** The command line of one variant; the variants differ in nothing else. */
export function memcachedCommand(
  binary: string,
  variant: Variant,
  { address, port, threads }: ServerPlace,
): string[] {
  const place = ['-l', address, '-p', String(port), '-t', String(threads)];
  // memcached refuses to run as root unless told so; dropping rights would differ between engines.
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
  const options = variant.server === 'megapipe' ? ['-o', megapipeOptions(variant)] : [];
  return [binary, ...user, ...place, ...commonArguments, ...options];
}

function megapipeOptions({ engine, techniques, batch }: Variant): string {
  return [
    'megapipe',
    `megapipe_engine=${engine}`,
    `megapipe_batch=${batch}`,
    ...(techniques.includes('lwsocket') ? [] : ['no_megapipe_lwsocket']),
    ...(techniques.includes('partition') ? [] : ['no_megapipe_partition']),
  ].join(',');
}
