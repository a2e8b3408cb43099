import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning } from '../../nginx/processes.js';
import { pause } from '../../waiting.js';
import { runClient } from '../client.js';
import { clientFacts, type SeenClient } from '../clients-seen.js';
import { type Fact, type Observation, within } from '../observation.js';
import { resourcesOf, timeUntil, watchMemory } from '../resources.js';
import type { Side } from '../subject.js';
import { runH2Client } from './h2-client.js';
import { normaliseAnswers } from './http-answers.js';
import { accessFacts, errorFacts } from './logs.js';
import { type Origin, startOrigin } from './origin.js';
import type { Client, LifeStep, NginxScenario, Request } from './scenario.js';
import { portOf, scriptOf, target } from './script.js';
import { type CertificateText, newCertificate, type RunningNginx, startNginx } from './server.js';

/** No wait for the server to be as before takes longer. */
const settleMs = 4_000;
/** Nor for it to end. */
const quitMs = 15_000;

function signal(pid: number, name: NodeJS.Signals) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

const statuses = (got: Buffer) =>
  [...new Set(got.toString('latin1').match(/(?<=HTTP\/1\.1 |^:status: )\d{3}/gm))].join(' ') || 'nothing';

const breaksOff = ({ resource }: Request) =>
  resource.kind === 'proxied' && /early$/.test(resource.manner) && resource.size > 20_000;

/** Whether how much comes is chance. */
const isPartial = ({ steps }: Client) =>
  steps.some(
    (step) =>
      step.do === 'stop reading' ||
      step.do === 'read slowly' ||
      (step.do === 'request' && step.requests.some(breaksOff)),
  );

const runCopy = (client: Client, scenario: NginxScenario, { place }: RunningNginx) =>
  client.way === 'h2'
    ? runH2Client(client, portOf(client, scenario, place))
    : runClient(scriptOf(client, scenario, place));

async function runClientOf(
  client: Client,
  scenario: NginxScenario,
  nginx: RunningNginx,
): Promise<SeenClient> {
  await pause(client.startMs);
  const copies = Array.from({ length: client.copies }, () => runCopy(client, scenario, nginx));
  const seen = (await Promise.all(copies)).map((one) => ({ ...one, got: normaliseAnswers(one.got) }));
  return { seen, isPartial: isPartial(client), summary: statuses };
}

function takeLifeStep(step: LifeStep, nginx: RunningNginx) {
  const { directory } = nginx.place;
  const [worker] = nginx.workers();
  if (step.do === 'reload') {
    nginx.configure(step.listeners);
    signal(nginx.master, 'SIGHUP');
  } else if (step.do === 'rotate') {
    renameSync(join(directory, 'access.log'), join(directory, 'access.log.1'));
    signal(nginx.master, 'SIGUSR1');
  } else if (worker !== undefined) signal(worker, step.do === 'quit worker' ? 'SIGQUIT' : 'SIGKILL');
}

async function runLife(life: LifeStep[], nginx: RunningNginx) {
  const started = Date.now();
  for (const step of [...life].sort((a, b) => a.atMs - b.atMs)) {
    await pause(Math.max(0, started + step.atMs - Date.now()));
    takeLifeStep(step, nginx);
  }
}

/** Clients are gone: how long it takes until all of theirs is, and what stays. */
async function settle(nginx: RunningNginx, origin: Origin, scenario: NginxScenario) {
  const { workers } = scenario;
  const upstream = await timeUntil(() => origin.openConnections() === 0, settleMs);
  const old = await timeUntil(() => nginx.workers().length === workers, settleMs);
  return new Map<string, Fact>([
    ['upstream connections are gone after', within(upstream)],
    ['workers are as many as before after', within(old)],
    ['upstream connections left', { by: 'amount', amount: origin.openConnections(), slack: 0, factor: 1 }],
  ]);
}

async function quit(nginx: RunningNginx) {
  signal(nginx.master, 'SIGQUIT');
  const ms = await timeUntil(() => nginx.processes().length === 0, quitMs);
  const left = nginx.processes().filter(isRunning);
  for (const pid of left) signal(pid, 'SIGKILL');
  return new Map<string, Fact>([
    ['quits within', within(ms)],
    ['exit status', { by: 'text', text: await nginx.ended }],
  ]);
}

function held(
  before: { kib: number; descriptors: number },
  after: typeof before,
  mostKib: number,
  workers: number,
) {
  const memory = { by: 'amount', slack: 8_192 + 1_024 * workers, factor: 2 } as const;
  return new Map<string, Fact>([
    ['KiB held at most', { ...memory, amount: Math.max(0, mostKib - before.kib) }],
    ['KiB held afterwards', { ...memory, amount: Math.max(0, after.kib - before.kib) }],
    [
      'descriptors held afterwards',
      { by: 'amount', amount: Math.max(0, after.descriptors - before.descriptors), slack: 4, factor: 1.5 },
    ],
  ]);
}

/** Tells of a path whether clients leave that have asked for it. */
function isLeft({ clients }: NginxScenario): (path: string) => boolean {
  const leaving = clients.filter(({ steps }) => steps.some((step) => step.do === 'leave'));
  const requests = leaving.flatMap(({ steps }) =>
    steps.flatMap((step) => (step.do === 'request' ? step.requests : [])),
  );
  const paths = new Set(requests.map(({ resource }) => decodeURIComponent(target(resource))));
  return (path) => paths.has(path);
}

async function observeRunning(
  nginx: RunningNginx,
  origin: Origin,
  scenario: NginxScenario,
): Promise<Observation> {
  const before = resourcesOf(nginx.workers());
  const most = watchMemory(nginx.workers);
  const clients = scenario.clients.map((client) => runClientOf(client, scenario, nginx));
  const life = runLife(scenario.life, nginx);
  const seen = clientFacts(await Promise.all(clients));
  await life;
  const settled = await settle(nginx, origin, scenario);
  const left = held(before, resourcesOf(nginx.workers()), most(), scenario.workers);
  const ended = await quit(nginx);
  const logs = [...errorFacts(nginx.errorLog()), ...accessFacts(nginx.accessLog(), isLeft(scenario))];
  return new Map([...seen, ...settled, ...left, ...ended, ...logs]);
}

let certificate: Promise<CertificateText> | undefined;

/** Run a scenario with nginx. */
export async function observeNginx(side: Side, scenario: NginxScenario): Promise<Observation> {
  certificate ??= newCertificate();
  const origin = await startOrigin();
  try {
    const nginx = await startNginx(side, scenario, origin.port, await certificate);
    try {
      return await observeRunning(nginx, origin, scenario);
    } finally {
      for (const pid of nginx.processes()) signal(pid, 'SIGKILL');
      nginx.remove();
    }
  } finally {
    origin.stop();
  }
}
