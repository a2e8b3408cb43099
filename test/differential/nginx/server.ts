import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { freePort } from '../../../src/host/free-port.js';
import { loadPort, serverBinary } from '../../../src/port/port.js';
import { makeCertificate } from '../../nginx/certificate.js';
import { nginxConfig } from '../../nginx/config.js';
import type { Kind } from '../../nginx/kinds.js';
import { isRunning, processTree, titleOf } from '../../nginx/processes.js';
import { until } from '../../waiting.js';
import { content } from '../content.js';
import type { Side } from '../subject.js';
import type { NginxPlace } from './configuration.js';
import { configurationOf, servedFiles } from './configuration.js';
import type { NginxScenario } from './scenario.js';

export type RunningNginx = {
  place: NginxPlace;
  master: number;
  processes(): number[];
  workers(): number[];
  errorLog(): string;
  accessLog(): string;
  /** Write the configuration with so many plain listeners. */
  configure(listeners: number): void;
  /** How its first process ended. */
  ended: Promise<string>;
  remove(): void;
};

function kindOf(side: Side): Kind {
  return {
    name: side,
    variant: 'megapipe',
    engine: side === 'stock' ? undefined : side,
    sanitize: false,
  };
}

const someTime = new Date('2026-01-01T00:00:00Z');

/** What is in the files of a certificate. */
export type CertificateText = { cert: Buffer; key: Buffer };

/** Make a certificate, and leave no file. */
export async function newCertificate(): Promise<CertificateText> {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-differential-'));
  try {
    const { cert, key } = await makeCertificate(folder);
    return { cert: readFileSync(cert), key: readFileSync(key) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeFolder(certificate: CertificateText): string {
  const directory = mkdtempSync(join(tmpdir(), 'megapipe-differential-'));
  const html = join(directory, 'html');
  mkdirSync(html);
  // Workers are nobody's where we are root.
  chmodSync(directory, 0o755);
  for (const [name, size] of servedFiles) {
    writeFileSync(join(html, name), content(size));
    utimesSync(join(html, name), someTime, someTime);
  }
  writeFileSync(join(directory, 'cert.pem'), certificate.cert);
  writeFileSync(join(directory, 'key.pem'), certificate.key);
  return directory;
}

const read = (file: string) => (existsSync(file) ? readFileSync(file, 'latin1') : '');

async function makePlace(directory: string, plainCount: number, origin: number): Promise<NginxPlace> {
  const plain: number[] = [];
  while (plain.length < plainCount) plain.push(await freePort());
  return {
    directory,
    plain,
    tls: await freePort(),
    stream: await freePort(),
    h2: await freePort(),
    origin,
    dead: await freePort(),
  };
}

/** Most plain listeners that a scenario ever has. */
const mostListeners = (scenario: NginxScenario) =>
  Math.max(scenario.listeners, ...scenario.life.map(({ listeners }) => listeners));

function launch(side: Side, scenario: NginxScenario, place: NginxPlace): RunningNginx {
  const { directory } = place;
  const kind = kindOf(side);
  const configure = (listeners: number) => {
    const config = configurationOf(scenario, place, listeners);
    const events = side === 'stock' ? 'use epoll;' : '';
    const text = nginxConfig(kind, { ...config, events }, { port: 0, ports: [], directory });
    writeFileSync(join(directory, 'nginx.conf'), text);
  };
  configure(scenario.listeners);
  const args = [
    '-p',
    `${directory}/`,
    '-c',
    join(directory, 'nginx.conf'),
    '-e',
    join(directory, 'error.log'),
  ];
  const process = execa(serverBinary(loadPort('nginx'), kind.variant), args, {
    reject: false,
    all: true,
    stdin: 'ignore',
  });
  const master = process.pid as number;
  const processes = () => processTree([master]).filter(isRunning);
  return {
    place,
    master,
    processes,
    workers: () => processes().filter((pid) => titleOf(pid).startsWith('nginx: worker process')),
    errorLog: () => read(join(directory, 'error.log')),
    accessLog: () => ['access.log.1', 'access.log'].map((name) => read(join(directory, name))).join(''),
    configure,
    ended: process.then(({ exitCode, signal, all }) => `${exitCode ?? signal}${all ? ` ${all}` : ''}`),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Start nginx for a scenario. */
export async function startNginx(
  side: Side,
  scenario: NginxScenario,
  origin: number,
  certificate: CertificateText,
): Promise<RunningNginx> {
  for (let tries = 1; ; tries += 1) {
    const directory = makeFolder(certificate);
    const place = await makePlace(directory, mostListeners(scenario), origin);
    const nginx = launch(side, scenario, place);
    const hasFailed = () => !isRunning(nginx.master) || / \[emerg\] /.test(nginx.errorLog());
    await until('nginx serves', () => hasFailed() || nginx.workers().length >= scenario.workers);
    if (!hasFailed()) return nginx;
    for (const pid of nginx.processes()) process.kill(pid, 'SIGKILL');
    const said = `${await nginx.ended}\n${nginx.errorLog()}`;
    nginx.remove();
    if (!/Address already in use/.test(said) || tries === 5) throw new Error(`nginx did not start: ${said}`);
  }
}
