import { once } from 'node:events';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { makeCertificate } from './certificate.js';
import { describeEngines, describeKinds, type Kind, stock } from './kinds.js';
import { openFiles } from './processes.js';
import { get } from './raw-answers.js';
import { type Nginx, start } from './server.js';
import { until } from './waiting.js';

/**
 * Passes one connection on to a port, and reads what comes back in steps of 4 KB with a pause after each, from a small
 * window.
 */
const slowRelay = `
  use Socket;
  $| = 1;
  my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die $@;
  print $listener->sockport, "\\n";
  my $client = $listener->accept or die $!;
  my $server = IO::Socket::INET->new(Proto => "tcp") or die $@;
  setsockopt $server, SOL_SOCKET, SO_RCVBUF, 8192;
  connect $server, sockaddr_in(shift, inet_aton("127.0.0.1")) or die $!;
  my $wanted = "";
  vec($wanted, fileno $_, 1) = 1 for $client, $server;
  while (1) {
    select my $ready = $wanted, undef, undef, undef;
    if (vec $ready, fileno $client, 1) {
      sysread $client, my $data, 65536 or exit;
      syswrite $server, $data;
    }
    if (vec $ready, fileno $server, 1) {
      sysread $server, my $data, 4096 or exit;
      syswrite $client, $data or exit;
      select undef, undef, undef, 0.1;
    }
  }
`;

async function startRelay(port: number): Promise<number> {
  const relay = execa('perl', ['-MIO::Socket::INET', '-e', slowRelay, String(port)], { reject: false });
  onTestFinished(() => void relay.kill('SIGKILL'));
  const [line] = await once(relay.stdout, 'data');
  return Number(line);
}

const length = 400_000;

/** What a client of 40 KB/s gets. */
async function download(scheme: string, port: number): Promise<'complete' | 'cut'> {
  const url = `${scheme}://127.0.0.1:${await startRelay(port)}/large`;
  const { exitCode, stdout } = await execa(
    'curl',
    ['--silent', '--insecure', '--output', '/dev/null', '--write-out', '%{size_download}', url],
    { reject: false },
  );
  return exitCode === 0 && stdout === String(length) ? 'complete' : 'cut';
}

/**
 * The channel holds more output than such a client takes in either time, and so little is with the kernel that stock
 * nginx sees progress in both.
 */
async function startServer(kind: Kind): Promise<Nginx> {
  return start(kind, {
    portCount: 4,
    files: { large: 'x'.repeat(length) },
    prepare: (directory) => makeCertificate(directory),
    http: ({ port, ports: [, file, proxy, tls] }) => `
      send_timeout 3s; keepalive_timeout 2s;
      server { listen 127.0.0.1:${file} sndbuf=32k; root html; }
      server { listen 127.0.0.1:${proxy} sndbuf=32k; location / { proxy_pass http://127.0.0.1:${port}; } }
      server { listen 127.0.0.1:${tls} sndbuf=32k ssl; root html;
        ssl_certificate localhost.crt; ssl_certificate_key localhost.key; }`,
    server: '',
  });
}

async function outcomes(kind: Kind) {
  const { ports } = await startServer(kind);
  const [file, proxied, tls] = await Promise.all(
    ['http', 'http', 'https'].map((scheme, index) => download(scheme, ports[index + 1] as number)),
  );
  return { file, proxied, tls };
}

const allComplete = { file: 'complete', proxied: 'complete', tls: 'complete' };

/** Stock nginx shows whether this machine has kept a client waiting for too long just now. */
async function compare(kind: Kind) {
  for (;;) {
    const [ours, theirs] = await Promise.all([outcomes(kind), outcomes(stock)]);
    if (JSON.stringify(theirs) === JSON.stringify(allComplete)) return ours;
  }
}

describeEngines((kind) => {
  test('a client that is slow and steady gets everything, as from stock nginx', async () => {
    expect(await compare(kind)).toEqual(allComplete);
  });
});

describeKinds((kind) => {
  test('descriptors of clients that read nothing are back when nginx has closed them', async () => {
    const nginx = await start(kind, {
      lwsocket: false,
      prepare: (directory) => execa('truncate', ['--size', '20M', join(directory, 'html/large')]),
      files: { small: 'small' },
      server: 'send_timeout 1s;',
    });
    const worker = nginx.workers()[0] as number;
    const sockets = () => openFiles(worker).filter((name) => name.startsWith('socket:')).length;
    const before = sockets();
    for (let i = 0; i < 10; i += 1) {
      const connection = await nginx.connect();
      connection.socket.pause();
      connection.write(get('/large'));
    }
    await until('nginx writes to them', () => sockets() >= before + 10);
    await until('nginx has closed them', () => sockets() <= before);
  });
});
