import { engineName } from '../../results/schema.js';
import type { ChannelsKind } from './application.js';

const words = /engine (\w+), batch (\d+), lwsocket (on|off), partition (on|off), moderation (\d+) us/;

/** What a server runs as that says so in these words, as nginx's log and the echo server do; undefined: it doesn't. */
export function channelsIn(text: string): ChannelsKind | undefined {
  const [, engine, batch, lwsocket, partition, moderation] = words.exec(text) ?? [];
  if (engine === undefined) return undefined;
  return {
    engine: engineName.parse(engine),
    batch: Number(batch),
    moderationUs: Number(moderation),
    techniques: [
      ...(partition === 'on' ? (['partition'] as const) : []),
      ...(Number(batch) > 1 ? (['batch'] as const) : []),
      ...(lwsocket === 'on' ? (['lwsocket'] as const) : []),
    ],
  };
}
