import type { Seen } from './client.js';
import type { Fact, Observation } from './observation.js';

/** What differs by itself among many that do the same at once. */
const slackOf = (copies: number) => (copies === 1 ? 0 : Math.max(2, Math.ceil(copies * 0.2)));

export type SeenClient = {
  seen: Seen[];
  /** Whether how much has come is chance: it reads slowly, or the upstream breaks off. */
  isPartial: boolean;
  /** In a word, what a copy got. */
  summary(got: Buffer): string;
};

function one(name: string, { got, end, ms }: Seen, isPartial: boolean): [string, Fact][] {
  const isCut = isPartial || end !== 'closed';
  return [
    [`${name}: end`, { by: 'end', end, ms }],
    [`${name}: got`, { by: 'bytes', bytes: got, isCut }],
  ];
}

function many(name: string, { seen, summary }: SeenClient): [string, Fact][] {
  const counts = new Map<string, number>();
  for (const { end, got } of seen) {
    const what = `${end}, ${summary(got)}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const slack = slackOf(seen.length);
  const ends = seen.filter(({ end }) => end === 'closed' || end === 'reset').map(({ ms }) => ms);
  return [
    ...[...counts].map(([what, count]): [string, Fact] => [
      `${name}: ${what}`,
      { by: 'count', count, slack },
    ]),
    ...(ends.length > slack
      ? [[`${name}: last ended after`, { by: 'time', ms: Math.max(...ends) }] as [string, Fact]]
      : []),
  ];
}

/** What all clients have seen, as facts. */
export function clientFacts(clients: SeenClient[]): Observation {
  return new Map(
    clients.flatMap((client, index) => {
      const name = `client ${index}`;
      const [first] = client.seen;
      return client.seen.length === 1 && first ? one(name, first, client.isPartial) : many(name, client);
    }),
  );
}
