import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { expect, onTestFinished } from 'vitest';
import { testUnless } from '../skip.js';
import { makeCertificate } from './certificate.js';
import { ask } from './client.js';
import { describeKinds } from './kinds.js';
import { residentKib } from './processes.js';
import { get } from './raw-answers.js';
import { type Nginx, start } from './server.js';
import { until } from './waiting.js';

const count = 100;
const length = 1 << 20;

/** So little is with the kernel that most of the file isn't sent to a client that reads nothing. */
const startServer = (kind: Parameters<typeof start>[0]) =>
  start(kind, {
    portCount: 4,
    files: { large: 'x'.repeat(length) },
    prepare: (directory) => makeCertificate(directory),
    // What comes in is constant, however many clients there are.
    events: kind.engine === undefined ? '' : 'megapipe_buffers 64 8k;',
    http: ({ ports: [, file, proxy, tls] }) => `
      sendfile on;
      server { listen 127.0.0.1:${file} sndbuf=64k; root html; location /status { stub_status; } }
      server { listen 127.0.0.1:${proxy} sndbuf=64k; location / { proxy_pass http://127.0.0.1:${file}; } }
      server { listen 127.0.0.1:${tls} sndbuf=64k ssl; root html;
        ssl_certificate localhost.crt; ssl_certificate_key localhost.key; }`,
    server: 'location /status { stub_status; }',
  });

/** Ask for the file, and read nothing of it. */
async function stall(nginx: Nginx, port: number, isTls: boolean) {
  if (!isTls) {
    const connection = await nginx.connect(port);
    connection.socket.pause();
    connection.write(get('/large'));
    return connection.socket;
  }
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  socket.pause();
  socket.write(get('/large'));
  return socket;
}

async function active(nginx: Nginx): Promise<number> {
  return Number(/\d+/.exec((await ask(`${nginx.url}/status`)).text)?.[0]);
}

describeKinds((kind) => {
  const unmeasured = kind.sanitize ? 'AddressSanitizer keeps what was freed' : undefined;

  for (const { what, index, isTls, most } of [
    { what: 'a file', index: 1, isTls: false, most: 32 },
    { what: 'a proxied answer', index: 2, isTls: false, most: 128 },
    { what: 'a file by TLS', index: 3, isTls: true, most: 128 },
  ]) {
    testUnless(unmeasured)(
      `clients that read nothing of ${what} hold little memory, and give it back`,
      async () => {
        const nginx = await startServer(kind);
        const port = nginx.ports[index] as number;
        const worker = nginx.workers()[0] as number;
        const first = await stall(nginx, port, isTls);
        first.destroy();
        await until('the first is gone', async () => (await active(nginx)) === 1);
        const before = residentKib(worker);
        const each = () => (residentKib(worker) - before) / count;

        const sockets = [];
        for (let i = 0; i < count; i += 1) sockets.push(await stall(nginx, port, isTls));
        await until('all are served', async () => (await active(nginx)) > count);
        await until('they hold little', () => each() < most);
        expect(await active(nginx)).toBeGreaterThan(count);

        for (const socket of sockets) socket.destroy();
        await until('they are gone', async () => (await active(nginx)) === 1);
        await until('the memory is given back', () => each() < most);
      },
    );
  }
});
