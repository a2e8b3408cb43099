import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { execa } from 'execa';
import { afterEach, expect, test } from 'vitest';
import { buildDir } from '../../src/base/paths.js';
import { freePort } from '../../src/host/free-port.js';

const running: { kill(signal: 'SIGKILL'): boolean }[] = [];

afterEach(() => {
  for (const example of running.splice(0)) example.kill('SIGKILL');
});

function start(name: string, ...ports: number[]) {
  const example = execa(join(buildDir, 'libmegapipe', name), ports.map(String), { reject: false });
  running.push(example);
  return example;
}

/** Can this kernel send connections to the accept queue of their CPU? */
async function canSteer() {
  const { stdout } = await execa(join(buildDir, 'libmegapipe/megapipe-probe'));
  const features = stdout.split('\n').map((engine) => engine.split('\t')[2] ?? '');
  return features.some((names) => names.split(' ').includes('partition'));
}

/** A connection, as soon as somebody listens. */
async function connected(port: number) {
  for (;;) {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const error = await once(socket, 'connect').then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!error) return socket;
    await setTimeout(20);
  }
}

/** What comes back of many messages, in pieces that meet the connection before, while and after it moves. */
async function echoed(port: number, message: (i: number) => Buffer) {
  const socket = await connected(port);
  const back = buffer(socket);
  for (let i = 0; i < 200; i++) {
    socket.write(message(i));
    if (i % 10 === 0) await setTimeout(1);
  }
  socket.end();
  return back;
}

test('handover moves connections in the midst of messages, and loses none', async () => {
  const port = await freePort();
  start('handover', port);
  const message = (i: number) => Buffer.alloc(1 + ((i * 997) % 9000), i);
  const whole = Buffer.concat(Array.from({ length: 200 }, (_, i) => message(i)));
  const all = await Promise.all(Array.from({ length: 20 }, () => echoed(port, message)));
  for (const back of all) expect(back.equals(whole)).toBe(true);
});

test('nested-epoll runs another event loop beside its connections', async () => {
  const port = await freePort();
  const example = start('nested-epoll', port);
  for (let i = 0; i < 3; i++) expect(await buffer(await connected(port))).toHaveLength(0);
  for await (const line of createInterface({ input: example.stdout }))
    if (line.endsWith(': 3 connections')) break;
  example.kill('SIGTERM');
  expect(await example).toMatchObject({ exitCode: 0 });
});

test('foreign-socket ships what clients say by a library that has a socket of its own', async () => {
  const collector = createServer().listen(0, '127.0.0.1');
  running.push({ kill: () => collector.close() !== undefined });
  await once(collector, 'listening');
  const port = await freePort();
  start('foreign-socket', port, (collector.address() as AddressInfo).port);
  const [shipped] = (await once(collector, 'connection')) as [Socket];
  let said = '';
  let heard = '';
  shipped.setEncoding('utf8').on('data', (text) => (heard += text));
  const client = await connected(port);
  for (let i = 0; i < 50; i++) {
    said += `${i} `;
    client.write(`${i} `);
    await expect.poll(() => heard).toBe(said);
  }
  client.end();
  shipped.end();
});

test('spread accepts by as many threads as it is told, and loses no client meanwhile', async ({ skip }) => {
  if (!(await canSteer())) skip('this kernel can’t steer connections');
  const port = await freePort();
  const example = start('spread', port);
  const lines = createInterface({ input: example.stdout })[Symbol.asyncIterator]();
  const threads = availableParallelism();
  for (const accepting of [1, threads, 1]) {
    const meanwhile = Array.from({ length: 20 }, async () => buffer(await connected(port)));
    example.stdin.write(`${accepting}\n`);
    expect((await lines.next()).value).toMatch(new RegExp(`^${accepting} of `));
    for (const answer of await Promise.all(meanwhile)) expect(answer.toString()).toMatch(/^\d+\n$/);
    for (let i = 0; accepting === 1 && i < 10; i++)
      expect((await buffer(await connected(port))).toString()).toBe('0\n');
  }
  example.stdin.end();
  expect(await example).toMatchObject({ exitCode: 0 });
});
