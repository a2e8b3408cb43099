import { z } from 'zod';

const topologies = z.array(
  z.looseObject({ name: z.string(), server: z.looseObject({ threads: z.int().positive() }) }),
);

/**
 * Reads results of format 1, which knew memcached alone, as those of format 2: a point then was a number of requests a
 * connection, on all of the server's CPUs.
 *
 * @param machine the file's first record
 * @returns what makes a record of today's format of one of format 1
 */
export function fromFormat1(machine: Record<string, unknown>): (record: unknown) => unknown {
  const threads = new Map(
    topologies
      .catch([])
      .parse(machine.topologies)
      .map(({ name, server }) => [name, server.threads]),
  );
  return (record) => {
    const fields = z.looseObject({ type: z.string() }).safeParse(record);
    if (fields.data?.type === 'machine') return { ...fields.data, format: 2 };
    return fields.data?.type === 'sample' ? sampleOf(fields.data, threads) : record;
  };
}

function sampleOf(
  { requestsPerConnection, variant, ...rest }: Record<string, unknown>,
  threads: Map<string, number>,
): unknown {
  const point = { workload: 'memaslap', requestsPerConnection, cores: threads.get(String(rest.topology)) };
  // Not there in a broken record, which is then refused for lacking it.
  const upgraded = typeof variant === 'object' ? { ...variant, reuseport: false } : variant;
  return { ...rest, variant: upgraded, point };
}
