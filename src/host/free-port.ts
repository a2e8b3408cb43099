import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';

/** Below are those of well-known services. */
const lowest = 10_000;

/** From there on are those that the kernel gives to outgoing connections. */
function firstOfClients(): number {
  return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
}

const used = new Set<number>();

/** Listen on a port of all addresses, 0 being any, and stop; the port, or undefined where it is not free. */
async function tryPort(wanted: number): Promise<number | undefined> {
  const probe = createServer();
  try {
    await once(probe.listen({ port: wanted, exclusive: true }), 'listening');
  } catch {
    return undefined;
  }
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/**
 * A TCP port that nothing listens on, and that no connection of anybody's takes before a server does, where the machine
 * has such ports. A new one for each server: the last one's may be busy for a while.
 */
export async function freePort(): Promise<number> {
  const end = firstOfClients();
  for (let tries = 0; tries < 1000; tries++) {
    const port = await tryPort(end > 2 * lowest ? randomInt(lowest, end) : 0);
    if (!port || used.has(port)) continue;
    used.add(port);
    return port;
  }
  throw new Error('no TCP port is free');
}
