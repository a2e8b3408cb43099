import type { Content } from '../given-content.js';
import { usage } from '../options.js';
import type { Protocol } from '../protocol.js';
import { rateText, scaleRate } from '../rate.js';
import type { CommonResult, Counted, Given } from '../result.js';
import { type ConductorOptions, forAgents } from './options.js';

/** Whole numbers that differ by one at most, the larger ones first. */
function shares(total: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor(total / count) + (i < total % count ? 1 : 0));
}

const whole = ['concurrency', 'threads', 'requests'] as const;

/** What an agent is told. */
export type Share = { given: Given; content: Content };

/** What each of so many agents is told: options that are of all together are split evenly. */
export function splitOptions<Result extends CommonResult & Counted>(
  protocol: Protocol<Result>,
  { given, content }: Share,
  options: ConductorOptions,
  count: number,
): Share[] {
  const lacking = whole.find((name) => (options[name] ?? count) < count);
  if (lacking)
    throw usage(`--${lacking} ${options[lacking]} can't be shared by ${count} agents`, protocol.name);
  return protocol.share(content, count).map((share, index) => {
    const split = whole.map((name) => [name, options[name]] as const);
    const own = split.flatMap(([name, total]) =>
      total === undefined ? [] : [[name, shares(total, count)[index]] as const],
    );
    const rate = options.rate === undefined ? {} : { rate: rateText(scaleRate(options.rate, 1 / count)) };
    const all = { ...forAgents(given, protocol), ...Object.fromEntries(own), ...rate, part: index };
    return { given: protocol.partOf(all, index), content: share };
  });
}
