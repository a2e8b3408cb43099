import { pause } from '../../waiting.js';
import { runClient, type Seen } from '../client.js';
import { clientFacts, type SeenClient } from '../clients-seen.js';
import { type Fact, type Observation, within } from '../observation.js';
import { resourcesOf, timeUntil, watchMemory } from '../resources.js';
import type { Side } from '../subject.js';
import { normaliseBinary, summariseBinary } from './binary.js';
import type { Client, Command, MemcachedScenario } from './scenario.js';
import { isSlow, scriptOf } from './script.js';
import { type RunningMemcached, startMemcached } from './server.js';
import { noAnswer, runUdpClient } from './udp-client.js';

/** No wait for the server to be as before takes longer. */
const settleMs = 4_000;
/** Nor for it to end. */
const stopMs = 15_000;

/** Statistics that say what was done, and not when, or in what memory. */
const counters = ['curr_connections', 'curr_items', 'cmd_get', 'cmd_set', 'get_hits', 'delete_hits'];

/** A line of statistics without what differs by itself: values, descriptors' numbers, and our own settings. */
function normaliseStatistic(line: string): string | undefined {
  if (line.startsWith('STAT megapipe')) return undefined;
  return line.replace(/^STAT (?:\d+:)?(\S+).*$/s, 'STAT $1\r');
}

/** What a client was answered; connections are listed by their numbers, so statistics are put in order. */
function normalise(got: Buffer): Buffer {
  const text = got.toString('latin1');
  if (!/^STAT /m.test(text)) return got;
  const blocks = text.replace(/(?:^STAT [^\n]*\n)+/gm, (block) => {
    const kept = block.split('\n').flatMap((line) => normaliseStatistic(line) || []);
    return `${kept.sort().join('\n')}\n`;
  });
  return Buffer.from(blocks, 'latin1');
}

/** Which lines were among the answers, but for values. */
function summarise(got: Buffer): string {
  const words = got
    .toString('latin1')
    .match(/^(?:VALUE|STORED|END|ERROR|CLIENT_ERROR|SERVER_ERROR|HD|VA|EN|NF)\b/gm);
  return words ? [...new Set(words)].sort().join(' ') : 'nothing';
}

type Copy = { seen: Seen; isAnswered: boolean };

async function runCopy(client: Client, server: RunningMemcached, own: string): Promise<Copy> {
  if (client.way === 'udp' && server.udpPort > 0) {
    const seen = await runUdpClient(client, server.udpPort, own);
    return { seen, isAnswered: !seen.got.includes(noAnswer) };
  }
  const script = scriptOf(client, server, own);
  const seen = await runClient(script);
  return { seen, isAnswered: script.isAnswered(seen.got) };
}

/** How many commands count in a statistic, at most. */
const sizeOf = (command: Command) => ('count' in command ? command.count : 1);

const commandsOf = ({ steps }: Client) =>
  steps.flatMap((step) =>
    step.do === 'commands'
      ? Array<Command[]>(step.times).fill(step.commands).flat()
      : step.do === 'begin command'
        ? [step.command]
        : [],
  );

/** Who leaves before all is answered doesn't know what was done of it, and it is chance: how much the server had received then. */
function mostUnknown(client: Client, copies: Copy[]): number {
  const all = commandsOf(client).reduce((sum, command) => sum + sizeOf(command), 0);
  return all * copies.filter(({ isAnswered }) => !isAnswered).length;
}

type ClientRun = SeenClient & { unknown: number };

async function runClientOf(client: Client, index: number, server: RunningMemcached): Promise<ClientRun> {
  await pause(client.startMs);
  const copies = await Promise.all(
    Array.from({ length: client.copies }, (_, copy) => runCopy(client, server, `c${index}-${copy}-`)),
  );
  const isBinary = client.way === 'binary';
  const clean = isBinary ? normaliseBinary : normalise;
  return {
    seen: copies.map(({ seen }) => ({ ...seen, got: clean(seen.got) })),
    isPartial: isSlow(client),
    summary: isBinary ? summariseBinary : summarise,
    unknown: mostUnknown(client, copies),
  };
}

async function statistics(server: RunningMemcached): Promise<Map<string, string>> {
  const { got } = await runClient({
    to: server.to,
    ...(server.tls && { tls: server.tls }),
    steps: [
      { do: 'send', data: Buffer.from('stats\r\n') },
      { do: 'await', isDone: (got) => got.includes('END\r\n') },
      { do: 'leave', how: 'fin' },
    ],
    lingerMs: 0,
  });
  return new Map(
    [...got.toString('latin1').matchAll(/^STAT (\S+) (.*)\r$/gm)].map(([, name, value]) => [
      name as string,
      value as string,
    ]),
  );
}

/** Clients are gone: what the server has of them still. */
async function settle(
  server: RunningMemcached,
  descriptorsBefore: number,
  unknown: number,
): Promise<Map<string, Fact>> {
  const ms = await timeUntil(() => resourcesOf([server.pid]).descriptors <= descriptorsBefore, settleMs);
  const stats = await statistics(server);
  return new Map<string, Fact>([
    ['descriptors are as many as before after', within(ms)],
    ...counters.map((name): [string, Fact] => [
      `stats: ${name}`,
      { by: 'count', count: Number(stats.get(name)), slack: 1 + (name === 'curr_connections' ? 0 : unknown) },
    ]),
  ]);
}

async function stop(server: RunningMemcached): Promise<Map<string, Fact>> {
  process.kill(server.pid, 'SIGTERM');
  const ms = await timeUntil(server.hasEnded, stopMs);
  if (!server.hasEnded()) process.kill(server.pid, 'SIGKILL');
  const { status, output } = await server.ended;
  return new Map<string, Fact>([
    ['stops within', within(ms)],
    ['exit status', { by: 'text', text: status }],
    ['says', { by: 'text', text: output.replace(/^MegaPipe: engine .*\n?/gm, '').replace(/\d+/g, 'N') }],
  ]);
}

async function observeRunning(server: RunningMemcached, scenario: MemcachedScenario): Promise<Observation> {
  const before = resourcesOf([server.pid]);
  const most = watchMemory(() => [server.pid]);
  const seen = await Promise.all(scenario.clients.map((client, index) => runClientOf(client, index, server)));
  if (server.hasEnded()) throw new Error(`memcached ended by itself: ${JSON.stringify(await server.ended)}`);
  const unknown = seen.reduce((sum, client) => sum + client.unknown, 0);
  const settled = await settle(server, before.descriptors, unknown);
  const memory = { by: 'amount', slack: 8_192 + 1_024 * scenario.threads, factor: 2 } as const;
  const held: [string, Fact][] = [
    ['KiB held at most', { ...memory, amount: most() - before.kib }],
    ['KiB held afterwards', { ...memory, amount: Math.max(0, resourcesOf([server.pid]).kib - before.kib) }],
  ];
  return new Map([...clientFacts(seen), ...settled, ...held, ...(await stop(server))]);
}

/** Run a scenario with memcached. */
export async function observeMemcached(side: Side, scenario: MemcachedScenario): Promise<Observation> {
  const server = await startMemcached(side, scenario);
  try {
    return await observeRunning(server, scenario);
  } finally {
    if (!server.hasEnded()) process.kill(server.pid, 'SIGKILL');
    server.remove();
  }
}
