import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';

/** Hand on what comes, in pieces of size bytes. */
async function chop(from: Socket, to: Socket, size: number) {
  for await (const data of from as AsyncIterable<Buffer>) {
    for (let at = 0; at < data.length; at += size) {
      to.write(data.subarray(at, at + size));
      await setImmediate();
    }
  }
  to.end();
}

/** A way to a server on this machine on which every answer arrives in pieces of size bytes. */
export async function startChoppingProxy(
  port: number,
  size: number,
): Promise<{ address: string; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const server = createConnection({ port, host: '127.0.0.1' });
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.setNoDelay(true).on('close', () => sockets.delete(socket));
    }
    client.on('error', () => server.destroy());
    server.on('error', () => client.destroy());
    client.pipe(server);
    chop(server, client, size).catch(() => client.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
