import { UserError } from '../base/errors.js';
import type { RequestsPerConnection } from '../results/schema.js';
import type { Cores } from './application/application.js';

// What the command line gives as lists.

/** Requests per connection: `1,2,4,unlimited`. */
export function parseLengths(list: string): RequestsPerConnection[] {
  return list.split(',').map((word) => {
    if (word === 'unlimited') return word;
    return wholeNumber(word, 'number of requests per connection', '--requests-per-connection 1,10,unlimited');
  });
}

/** Numbers of cores: `1,2,4`, `all`, `each`. */
export function parseCores(list: string): Cores {
  if (list === 'all' || list === 'each') return list;
  return list.split(',').map((word) => wholeNumber(word, 'number of cores', '--cores 1,2, or all, or each'));
}

/** Sizes of messages in bytes: `64,1024`. */
export function parseSizes(list: string): number[] {
  return list.split(',').map((word) => wholeNumber(word, 'size in bytes', '--message-sizes 64,1024'));
}

/** Numbers of connections: `64,256`. */
export function parseConnections(list: string): number[] {
  return list.split(',').map((word) => wholeNumber(word, 'number of connections', '--connections 64,256'));
}

/** Rates in requests a second: `20000`; `none` is a closed loop. */
export function parseRates(list: string): (number | null)[] {
  return list
    .split(',')
    .map((word) => (word === 'none' ? null : wholeNumber(word, 'rate', '--rates none,20000')));
}

/** Time in milliseconds: `90s`, `8m`, `1.5h`. */
export function parseTime(option: string, text: string): number {
  const [, number, unit] = /^(\d{1,6}(?:\.\d+)?)(s|m|h)$/.exec(text) ?? [];
  const ms = Math.round(Number(number) * { s: 1000, m: 60_000, h: 3_600_000 }[unit as 's' | 'm' | 'h']);
  if (ms > 0) return ms;
  throw new UserError(`${option} ${text} is no time`, { hint: `give one like 90s, 8m or 1h`, exitCode: 2 });
}

function wholeNumber(word: string, what: string, example: string): number {
  if (/^[1-9]\d{0,8}$/.test(word)) return Number(word);
  throw new UserError(`"${word}" is not a ${what}`, {
    hint: `give whole numbers from 1, like ${example}`,
    exitCode: 2,
  });
}
