import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** An echo server whose faults can be chosen. */
export type FakeEcho = { address: string; received(): number; connections(): number; stop(): void };

/**
 * Start a server that is given what each connection says.
 *
 * @param answer what it does with that; number counts the connections
 */
export async function startEcho(
  answer: (socket: Socket, chunk: Buffer, number: number) => void,
): Promise<FakeEcho> {
  const counts = { received: 0, connections: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const number = counts.connections++;
    sockets.add(socket);
    socket.on('data', (chunk: Buffer) => {
      counts.received += chunk.length;
      answer(socket, chunk, number);
    });
    // Clients reset.
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: `127.0.0.1:${port}`,
    received: () => counts.received,
    connections: () => counts.connections,
    stop,
  };
}
