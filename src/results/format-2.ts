import { z } from 'zod';

const objectOf = (value: unknown) => z.looseObject({}).safeParse(value).data;

/**
 * Reads results of format 2, whose points had no sizes of messages, no numbers of connections and no rates, and whose
 * clients were one host, as those of format 3.
 *
 * @returns what makes a record of format 3 of each of a file's records, in their order
 */
export function fromFormat2(): (record: unknown) => unknown {
  // What a run's machine record says of it, for the samples that follow.
  let connections: unknown;
  return (record) => {
    const fields = objectOf(record);
    if (fields?.type === 'machine') {
      connections = objectOf(objectOf(fields.workload)?.parameters)?.connections;
      return machineOf(fields);
    }
    return fields?.type === 'sample' ? sampleOf(fields, connections) : record;
  };
}

/** Its phases are not on record: a run of then can be shown, and not be taken up again. */
function machineOf({ topologies, plan, workload, ...rest }: Record<string, unknown>): unknown {
  return {
    ...rest,
    format: 3,
    topologies: Array.isArray(topologies) ? topologies.map(topologyOf) : topologies,
    workload: { ...objectOf(workload), lines: null },
    plan: { ...objectOf(plan), arguments: [], phases: [] },
  };
}

function topologyOf(topology: unknown): unknown {
  const { client, ...rest } = objectOf(topology) ?? {};
  return { ...rest, clients: [client] };
}

function sampleOf({ point, measured, ...rest }: Record<string, unknown>, connections: unknown): unknown {
  const upgraded = { ...objectOf(point), messageBytes: null, connections, rate: null };
  return { ...rest, point: upgraded, ...(measured === undefined ? {} : { measured: measuredOf(measured) }) };
}

/** The loop was closed, so that both latencies were one. */
function measuredOf(measured: unknown): unknown {
  const { concurrency: _concurrency, ...rest } = objectOf(measured) ?? {};
  return { ...rest, unsent: 0, serviceUs: rest.latencyUs };
}
