import { expect, test } from 'vitest';
import { describeEngines, type Kind } from './kinds.js';
import { openFiles, residentKib } from './processes.js';
import { get, readAnswer } from './raw-answers.js';
import { type Nginx, start } from './server.js';
import { until } from './waiting.js';

const files = { small: 'small' };
const count = 200;

const sockets = (nginx: Nginx) =>
  openFiles(nginx.workers()[0] as number).filter((target) => target.startsWith('socket:')).length;

async function serve(nginx: Nginx, connections: number) {
  const open = await Promise.all(Array.from({ length: connections }, () => nginx.connect()));
  for (const connection of open) connection.write(get('/small'));
  for (const connection of open) expect((await readAnswer(connection)).status).toBe(200);
  return open;
}

/** How many more sockets than before a worker has among its descriptors while it has connections. */
async function socketsOfConnections(kind: Kind, lwsocket: boolean): Promise<number> {
  const nginx = await start(kind, { files, lwsocket });
  const before = sockets(nginx);
  const connections = await serve(nginx, count);
  const more = sockets(nginx) - before;
  for (const connection of connections) connection.destroy();
  await until('the worker has closed them', () => sockets(nginx) === before);
  return more;
}

describeEngines((kind) => {
  // Engine epoll has descriptors behind its lwsockets.
  if (kind.engine === 'uring')
    test('connections have no descriptor', async () => {
      expect(await socketsOfConnections(kind, true)).toBe(0);
    });

  test('connections have descriptors with megapipe_lwsocket off', async () => {
    expect(await socketsOfConnections(kind, false)).toBe(count);
  });

  test('3,000 connections leave no descriptor and hardly any memory behind', async () => {
    // Few buffers, or using the next one for the first time would look like a leak.
    const nginx = await start(kind, { files, events: 'megapipe_buffers 128 1k;' });
    const worker = nginx.workers()[0] as number;
    const wave = async () => {
      for (const connection of await serve(nginx, 100)) connection.destroy();
    };
    for (let i = 0; i < 5; i++) await wave();
    const [descriptors, memoryKib] = [openFiles(worker).length, residentKib(worker)];
    for (let i = 0; i < 25; i++) await wave();
    await until('all connections are closed', () => openFiles(worker).length <= descriptors);
    // A leak of one structure a connection would be 2,500 of some hundred bytes; the sanitizers keep freed memory.
    if (!kind.sanitize) expect(residentKib(worker) - memoryKib).toBeLessThan(1024);
  });
});
