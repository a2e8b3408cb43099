import { type Channels, engineName } from '../results.js';

const words = /engine (\w+), batch (\d+), lwsocket (on|off), partition (on|off)/;

/** What a server runs as that says so in these words, as nginx's log and the echo server do; undefined: it doesn't. */
export function channelsIn(text: string): Pick<Channels, 'engine' | 'techniques' | 'batch'> | undefined {
  const [, engine, batch, lwsocket, partition] = words.exec(text) ?? [];
  if (engine === undefined) return undefined;
  return {
    engine: engineName.parse(engine),
    batch: Number(batch),
    techniques: [
      ...(partition === 'on' ? (['partition'] as const) : []),
      ...(Number(batch) > 1 ? (['batch'] as const) : []),
      ...(lwsocket === 'on' ? (['lwsocket'] as const) : []),
    ],
  };
}
