import { type Agents, startAgents } from '../host/agents.js';
import { type NatsServer, startNats } from '../host/nats-server.js';
import type { Topology } from '../host/topology.js';

/** Who loads the servers on a topology: a generator where there is one client's host, agents where there are several. */
export type Loaders = {
  /** The command line that has the clients' hosts do what this generator would do. */
  command(generator: string[]): Promise<string[]>;
  /** Processes that load, beside that of the command. */
  pids(): number[];
  stop(): Promise<void>;
};

/** Agents of an earlier sample that failed may need so long to notice. */
const agentsWithinS = 25;
/** The hosts have one clock: nothing that a busy machine does to the reading of it matters. */
const clockBoundMs = 1000;

/** Start what loads for as long as there is the topology. */
export async function startLoaders(topology: Topology, signal: AbortSignal): Promise<Loaders> {
  const { onClients } = topology;
  if (onClients.length > 1) return startTeam(topology, signal);
  return {
    command: async (generator) => onClients[0](generator),
    pids: () => [],
    stop: async () => undefined,
  };
}

async function startTeam({ record, onClients }: Topology, signal: AbortSignal): Promise<Loaders> {
  const [first] = onClients;
  const nats = await startNats({ on: first, address: record.clients[0]?.address ?? '' }, signal);
  const start = () => startAll({ record, onClients }, nats, signal);
  const state = { agents: await start().catch((error) => nats.stop().then(() => Promise.reject(error))) };
  return {
    async command(generator) {
      if (!state.agents.areThere()) {
        await state.agents.stop();
        state.agents = await start();
      }
      const conducted = ['--agents', String(onClients.length), '--nats', nats.url, '--insecure'];
      const patience = ['--agents-within', String(agentsWithinS), '--clock-bound', String(clockBoundMs)];
      return first([...generator, ...conducted, ...patience]);
    },
    pids: () => state.agents.pids,
    async stop() {
      await state.agents.stop();
      await nats.stop();
    },
  };
}

function startAll(
  { record, onClients }: Pick<Topology, 'record' | 'onClients'>,
  { url }: NatsServer,
  signal: AbortSignal,
): Promise<Agents> {
  const options = ['--allow', record.server.address, '--insecure'];
  const places = onClients.map((on, i) => ({ name: `client${i + 1}`, on, options }));
  return startAgents(places, url, 'default', signal);
}
