import { createConnection } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';

/** A connection to a port of this machine on which everything is sent byte by byte. */
export function connectChopped(port: number): Duplex {
  const socket = createConnection({ port, host: '127.0.0.1' }).setNoDelay(true);
  const send = async (data: Buffer) => {
    for (const byte of data) {
      socket.write(Buffer.from([byte]));
      await setImmediate();
    }
  };
  const chopped = new Duplex({
    read: () => void socket.resume(),
    write(data: Buffer, _encoding, done) {
      void send(data).then(() => done());
    },
    final(done) {
      socket.end(done);
    },
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (data) => {
    if (!chopped.push(data)) socket.pause();
  });
  socket.on('end', () => chopped.push(null));
  socket.on('error', (error) => chopped.destroy(error));
  return chopped;
}
