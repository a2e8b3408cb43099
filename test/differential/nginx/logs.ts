import type { Fact } from '../observation.js';

const line = /^\S+ \S+ \[(\w+)\] \d+#\d+: (?:\*\d+ )?(.*)$/;
const quiet = new Set(['debug', 'info', 'notice']);
/** Whether one is needed is a matter of how fast the client reads. */
const chance = /is buffered to a temporary file/;

/** A line without what differs by itself: numbers, folders, who the client was, and which call it was that read. */
function normalise(text: string): string | undefined {
  const [, level, message] = line.exec(text) ?? [];
  if (level === undefined || message === undefined || quiet.has(level) || chance.test(message))
    return undefined;
  const known = message
    .replace(/, client: .*/, '')
    .replace(/\/\S*\/megapipe-differential-\w+/, '')
    .replace(/\d+/g, 'N')
    .replace('readv()', 'recv()');
  return `[${level}] ${known}`;
}

/** What the error log tells an operator: which messages at which level, however often. */
export function errorFacts(log: string): Map<string, Fact> {
  const messages = log.split('\n').flatMap((text) => normalise(text) ?? []);
  return new Map(messages.map((message) => [`error log: ${message}`, { by: 'text', text: 'there' }]));
}

/**
 * How often each request with each status is in the access log.
 *
 * @param isChance whether clients leave while it is answered: then its status depends on when
 */
export function accessFacts(log: string, isChance: (path: string) => boolean): Map<string, Fact> {
  const counts = new Map<string, number>();
  for (const text of log.split('\n').filter(Boolean)) {
    const path = text.replace(/^\S+ (.*) \S+ \S+$/, '$1');
    if (!isChance(path)) counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return new Map(
    [...counts].map(([text, count]) => {
      const slack = count <= 5 ? 0 : Math.ceil(count * 0.2);
      return [`access log: ${text}`, { by: 'count', count, slack }];
    }),
  );
}
