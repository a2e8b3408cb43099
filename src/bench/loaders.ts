import { type Agents, startAgents } from '../host/agents.js';
import { type NatsServer, startNats } from '../host/nats-server.js';
import type { Topology } from '../host/topology.js';
import { type Generator, type Order, startGenerator } from './generator.js';

/** Who loads the servers on a topology: a generator where there is one client's host, agents where there are several. */
export type Loaders = {
  /** Have the clients' hosts carry out a load; resolves to what the generator prints. */
  load(order: Order): Promise<string>;
  /** Processes that load, beside the generator. */
  pids(): number[];
  stop(): Promise<void>;
};

/** Agents of an earlier sample that failed may need so long to notice. */
const agentsWithinS = 25;
/** The hosts have one clock: nothing that a busy machine does to the reading of it matters. */
const clockBoundMs = 1000;

/** Start what loads for as long as there is the topology. */
export async function startLoaders(topology: Topology, signal: AbortSignal): Promise<Loaders> {
  const generator = keepGenerator(topology, signal);
  if (topology.onClients.length === 1) return { ...generator, pids: () => [] };
  return startTeam(topology, generator, signal);
}

/** One that has ended is replaced at the next load. */
function keepGenerator({ onClients }: Topology, signal: AbortSignal): Pick<Loaders, 'load' | 'stop'> {
  const [first] = onClients;
  let generator: Generator | undefined;
  return {
    load: (order) => {
      if (!generator?.isThere()) generator = startGenerator(first, signal);
      return generator.load(order);
    },
    stop: async () => generator?.stop(),
  };
}

async function startTeam(
  { record, onClients }: Topology,
  generator: Pick<Loaders, 'load' | 'stop'>,
  signal: AbortSignal,
): Promise<Loaders> {
  const [first] = onClients;
  const nats = await startNats({ on: first, address: record.clients[0]?.address ?? '' }, signal);
  const start = () => startAll({ record, onClients }, nats, signal);
  const state = { agents: await start().catch((error) => nats.stop().then(() => Promise.reject(error))) };
  return {
    async load(order) {
      if (!state.agents.areThere()) {
        await state.agents.stop();
        state.agents = await start();
      }
      const conducted = ['--agents', String(onClients.length), '--nats', nats.url, '--insecure'];
      const patience = ['--agents-within', String(agentsWithinS), '--clock-bound', String(clockBoundMs)];
      return generator.load({ ...order, words: [...order.words, ...conducted, ...patience] });
    },
    pids: () => state.agents.pids,
    async stop() {
      await generator.stop();
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
