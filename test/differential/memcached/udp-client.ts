import { createSocket, type Socket } from 'node:dgram';
import { pause } from '../../waiting.js';
import type { Seen } from '../client.js';
import type { Client, ClientStep, Command } from './scenario.js';
import { bytesOf } from './script.js';

/** A datagram gets no answer where a command has none; so long is one waited for. */
const answerMs = 1_000;
export const noAnswer = '(no answer)\n';
/** What a datagram has room for. */
const mostBytes = 1_300;
const headerBytes = 8;

/** One answer's datagrams, by their numbers. */
function collect(socket: Socket) {
  let id = 0;
  let parts = new Map<number, Buffer>();
  let total = 0;
  socket.on('message', (message) => {
    if (message.readUInt16BE(0) !== id) return;
    total = message.readUInt16BE(4);
    parts.set(message.readUInt16BE(2), message.subarray(headerBytes));
  });
  return {
    begin(request: number) {
      id = request;
      parts = new Map();
      total = 0;
    },
    isWhole: () => total > 0 && parts.size === total,
    answer: () => Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, part]) => part)),
  };
}

/** The commands that fit into a datagram, one after the other: side by side, threads would answer in any order. */
const commandsOf = (steps: ClientStep[]) =>
  steps.flatMap((step): Command[] =>
    step.do === 'commands' ? Array.from({ length: Math.min(step.times, 3) }, () => step.commands).flat() : [],
  );

/** What a client does, over UDP: only its whole commands. */
export async function runUdpClient(client: Client, port: number, own: string): Promise<Seen> {
  const started = Date.now();
  const socket = createSocket('udp4');
  socket.on('error', () => {});
  const answers = collect(socket);
  const got: Buffer[] = [];
  let id = 0;
  for (const command of commandsOf(client.steps)) {
    const bytes = bytesOf(command, own);
    if (bytes.length > mostBytes) continue;
    id += 1;
    answers.begin(id);
    const header = Buffer.from([id >> 8, id & 255, 0, 0, 0, 1, 0, 0]);
    socket.send(Buffer.concat([header, bytes]), port, '127.0.0.1');
    const limit = Date.now() + answerMs;
    while (!answers.isWhole() && Date.now() < limit) await pause(5);
    got.push(answers.isWhole() ? answers.answer() : Buffer.from(noAnswer));
  }
  socket.close();
  return { got: Buffer.concat(got), end: 'closed', ms: Date.now() - started };
}
