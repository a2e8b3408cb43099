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

/** How a client reads: steps with a pause after each, while what it has got is between two sizes. */
type Pace = { window: number; step: number; pauseSeconds: number; from: number; to: number };

/** Passes one connection on to a port, and reads what comes back at a pace. */
const slowRelay = `
  use Socket;
  $| = 1;
  my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die $@;
  print $listener->sockport, "\\n";
  my $client = $listener->accept or die $!;
  my ($port, $window, $step, $pause, $from, $to) = @ARGV;
  my $server = IO::Socket::INET->new(Proto => "tcp") or die $@;
  setsockopt $server, SOL_SOCKET, SO_RCVBUF, 0 + $window;
  connect $server, sockaddr_in($port, inet_aton("127.0.0.1")) or die $!;
  my $got = 0;
  my $wanted = "";
  vec($wanted, fileno $_, 1) = 1 for $client, $server;
  while (1) {
    select my $ready = $wanted, undef, undef, undef;
    if (vec $ready, fileno $client, 1) {
      sysread $client, my $data, 65536 or exit;
      syswrite $server, $data;
    }
    if (vec $ready, fileno $server, 1) {
      sysread $server, my $data, $step or exit;
      syswrite $client, $data or exit;
      $got += length $data;
      select undef, undef, undef, $pause if $got > $from && $got < $to;
    }
  }
`;

async function startRelay(port: number, { window, step, pauseSeconds, from, to }: Pace): Promise<number> {
  const args = [port, window, step, pauseSeconds, from, to].map(String);
  const relay = execa('perl', ['-MIO::Socket::INET', '-e', slowRelay, ...args], { reject: false });
  onTestFinished(() => void relay.kill('SIGKILL'));
  const [line] = await once(relay.stdout, 'data');
  return Number(line);
}

const length = 400_000;

/** 40 KB/s. */
const steady: Pace = { window: 8_192, step: 4_096, pauseSeconds: 0.1, from: 0, to: length };

/** 4.5 KB/s for some seconds. How much is left to write when that begins makes a difference. */
const slowForSome = [18_000, 21_000, 24_000, 27_000].map(
  (from): Pace => ({ window: 4_096, step: 1_024, pauseSeconds: 0.22, from, to: from + 36_000 }),
);

async function download(scheme: string, port: number, pace: Pace): Promise<'complete' | 'cut'> {
  const url = `${scheme}://127.0.0.1:${await startRelay(port, pace)}/large`;
  const { exitCode, stdout } = await execa(
    'curl',
    ['--silent', '--insecure', '--output', '/dev/null', '--write-out', '%{size_download}', url],
    { reject: false },
  );
  return exitCode === 0 && stdout === String(length) ? 'complete' : 'cut';
}

/**
 * The channel holds more output than a steady client takes in either time, and so little is with the kernel that stock
 * nginx sees progress in both. A third of the smallest buffer, which it takes for progress, goes in one second; 16 KB
 * in more than three.
 */
async function startServer(kind: Kind): Promise<Nginx> {
  return start(kind, {
    portCount: 5,
    files: { large: 'x'.repeat(length) },
    prepare: (directory) => makeCertificate(directory),
    http: ({ port, ports: [, file, proxy, tls, small] }) => `
      send_timeout 3s; keepalive_timeout 2s;
      server { listen 127.0.0.1:${file} sndbuf=32k; root html; }
      server { listen 127.0.0.1:${small} sndbuf=8k; root html; }
      server { listen 127.0.0.1:${proxy} sndbuf=32k; location / { proxy_pass http://127.0.0.1:${port}; } }
      server { listen 127.0.0.1:${tls} sndbuf=32k ssl; root html;
        ssl_certificate localhost.crt; ssl_certificate_key localhost.key; }`,
    server: '',
  });
}

async function outcomes(kind: Kind) {
  const { ports } = await startServer(kind);
  const from = (server: number, pace: Pace, scheme = 'http') =>
    download(scheme, ports[server] as number, pace);
  const [file, proxied, tls, ...small] = await Promise.all([
    from(1, steady),
    from(2, steady),
    from(3, steady, 'https'),
    ...slowForSome.map((pace) => from(4, pace)),
  ]);
  return { file, proxied, tls, small };
}

const allComplete = {
  file: 'complete',
  proxied: 'complete',
  tls: 'complete',
  small: slowForSome.map(() => 'complete'),
};

/** What a server does that is as good as stock in one of three runs; in these, nothing has kept stock from completing. */
async function compare(kind: Kind) {
  for (let run = 1; ; ) {
    const [ours, theirs] = await Promise.all([outcomes(kind), outcomes(stock)]);
    if (JSON.stringify(theirs) !== JSON.stringify(allComplete)) continue;
    if (run === 3 || JSON.stringify(ours) === JSON.stringify(allComplete)) return ours;
    run += 1;
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
