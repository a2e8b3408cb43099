import { createSocket, type Socket as DgramSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A small name server, over UDP and TCP on one port, and what it was asked. */
export type NameServer = { port: number; udpQueries: string[]; tcpQueries: string[] };

/**
 * What it says of a name: IPv4 addresses; `truncated` says over UDP that it does not fit; nothing at all for `silent`;
 * unknown names are told so.
 */
export type Names = Record<string, { addresses: string[]; truncated?: boolean; silent?: boolean }>;

const headerLength = 12;

function nameIn(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = headerLength;
  for (let length = query[at]; length; length = query[at]) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), end: at + 5 };
}

/** A record that points back at the name in the question. */
const addressRecord = (address: string) =>
  Buffer.from([0xc0, headerLength, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split('.').map(Number)]);

function answer(query: Buffer, names: Names, isUdp: boolean): Buffer | undefined {
  const { name, end } = nameIn(query);
  const found = names[name];
  if (found?.silent) return undefined;
  const wantsIpv4 = query.readUInt16BE(end - 4) === 1;
  const isTruncated = isUdp && found?.truncated === true;
  const records = wantsIpv4 && !isTruncated ? (found?.addresses ?? []).map(addressRecord) : [];
  const message = Buffer.concat([query.subarray(0, end), ...records]);
  message.writeUInt16BE(0x8180 | (isTruncated ? 0x0200 : 0) | (found ? 0 : 3), 2);
  message.writeUInt16BE(1, 4);
  message.writeUInt16BE(records.length, 6);
  message.writeUInt32BE(0, 8);
  return message;
}

function answerTcp(socket: Socket, names: Names, server: NameServer) {
  let received: Buffer = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (data) => {
    received = Buffer.concat([received, data]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    const query = received.subarray(2, 2 + received.readUInt16BE(0));
    received = received.subarray(2 + query.length);
    server.tcpQueries.push(nameIn(query).name);
    const message = answer(query, names, false);
    if (!message) return;
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    // Split, so that the reader must wait for the rest.
    socket.write(length);
    socket.write(message);
  });
}

/** One port for both: what is free for TCP may be taken for UDP, and is then not it. */
async function listenOnBoth(tcp: Server, udp: DgramSocket): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    tcp.listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const { port } = tcp.address() as AddressInfo;
    try {
      udp.bind(port, '127.0.0.1');
      await once(udp, 'listening');
      return port;
    } catch (error) {
      if (tries === 10) throw error;
      tcp.close();
      await once(tcp, 'close');
    }
  }
}

/** Start it; it ends with the test. */
export async function startNameServer(names: Names): Promise<NameServer> {
  const nameServer: NameServer = { port: 0, udpQueries: [], tcpQueries: [] };
  const tcp = createServer((socket) => answerTcp(socket, names, nameServer));
  const udp = createSocket('udp4');
  udp.on('message', (query, { port, address }) => {
    nameServer.udpQueries.push(nameIn(query).name);
    const message = answer(query, names, true);
    if (message) udp.send(message, port, address);
  });
  onTestFinished(() => {
    tcp.close();
    udp.close();
  });
  nameServer.port = await listenOnBoth(tcp, udp);
  return nameServer;
}
