import type { EchoOptions } from './echo-options.js';
import type { Plan } from './engine.js';
import { sharedPlan, stream } from './plan.js';
import { seededRandom } from './random.js';

/** So many messages differ from each other, as far as they fit into memory of a sensible size. */
const mostMessages = 64;
const mostBytes = 4 << 20;

/** Random bytes, so that no message is like another, nor like itself moved. */
function randomBytes(seed: number, length: number): Uint8Array {
  const random = seededRandom(seed, stream.pattern);
  const words = Uint32Array.from({ length: Math.ceil(length / 4) }, () => random() * 2 ** 32);
  return new Uint8Array(words.buffer).subarray(0, length);
}

/** Everything that is sent, decided beforehand: the engine only walks it. */
export function makeEchoPlan(options: EchoOptions): Plan {
  const { size, threads } = options;
  const count = Math.max(1, Math.min(mostMessages, Math.floor(mostBytes / size)));
  return {
    ...sharedPlan(options),
    protocol: 'echo',
    requestSize: size,
    answerSize: size,
    limits: Uint32Array.of(options.requestsPerConnection ?? 0),
    sequences: Uint32Array.from({ length: threads * count }, (_, i) => i % count),
    keys: randomBytes(options.seed, count * size),
    keyOffsets: Uint32Array.from({ length: count + 1 }, (_, i) => i * size),
    pattern: new Uint8Array(0),
  };
}
