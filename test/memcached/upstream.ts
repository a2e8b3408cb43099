import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { unpackedRoot } from '../../src/debian/install.js';
import { type Port, serverBinary, type Variant, variantDirectory } from '../../src/port/port.js';
import { engines, isOneEngine } from '../engines.js';

/*
 * Upstream's own tests: what passes on the baseline has to pass with MegaPipe on, on every engine that works here.
 * Most of their time is sleep, so many run at once; but not on the one emulated CPU of a guest, where some would miss
 * what they wait for.
 */

/** What takes longer hangs. */
const timeLimitMs = isOneEngine ? 1_200_000 : 300_000;

let scratch: string;

/**
 * Tests of upstream's that give so little time that they fail by chance on a busy machine: each of these was seen to fail on
 * the baseline, too. They get more tries; each retry is told and counted. A hang is never among what is tried again.
 */
const chancy: Record<string, string> = {
  'binary.t': 'wants an item that lives for one second to be there at its next command',
  'daemonize.t': 'gives the server half a second to write its pid, and half a second to go',
  testapp: 'reads the server’s file of its pid as soon as it is there, written or not (of 1.4.13)',
};
const tries = 5;
let retries = 0;

/** binary-sasl.t wants saslpasswd2 on the path, and skips itself without this variable. */
const saslBinaries = join(unpackedRoot('sasl2-bin'), 'usr/sbin');
const saslEnvironment = existsSync(saslBinaries)
  ? { RUN_SASL_TESTS: '1', PATH: `${process.env.PATH}:${saslBinaries}` }
  : {};

/** Upstream's tests of TLS skip themselves without this; all others would run over TLS with it. */
const environmentOf = (script: string) => (script.startsWith('ssl_') ? { SSL_TEST: '1' } : {});

/**
 * Upstream's tests take random ports, between looking and binding of which others may take them, too, and some take 11211:
 * each runs with a network of its own, where this is allowed.
 */
const { exitCode: noNetwork } = await execa('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up'], {
  reject: false,
});
const ownNetwork =
  noNetwork === 0 ? ['unshare', '--net', 'sh', '-c', 'ip link set lo up; exec "$@"', 'sh'] : [];

type Outcome = { passed: boolean; timedOut: boolean; skipped: string | undefined; output: string };

/** Servers that a test has left behind: they are in its process group. */
function endGroup(pid: number) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // none
  }
}

/** Run one, and again where its failure may be that of a busy machine. */
async function runUpstream(port: Port, variant: Variant, command: string[], options = ''): Promise<Outcome> {
  const name = basename(command.at(-1) as string);
  for (let left = chancy[name] ? tries : 1; ; left -= 1) {
    const outcome = await runOnce(port, variant, command, options);
    if (outcome.passed || outcome.timedOut || left === 1) return outcome;
    retries += 1;
    console.log(`retry: upstream's ${name} failed on ${options || variant}; it ${chancy[name]}`);
  }
}

/** Run one in the folder that it was built in, as upstream's own `make test` does. */
async function runOnce(port: Port, variant: Variant, command: string[], options: string): Promise<Outcome> {
  serverBinary(port, variant);
  const name = basename(command.at(-1) as string);
  const log = join(scratch, `${variant}-${name}.log`);
  // A file, not a pipe: what a test leaves behind would hold the pipe open.
  const run = execa('sh', ['-c', 'exec "$@" > "$0" 2>&1', log, ...ownNetwork, ...command], {
    cwd: variantDirectory(port, variant),
    env: { ...saslEnvironment, ...environmentOf(name), MEMCACHED_MEGAPIPE: options },
    detached: true,
    stdio: 'ignore',
    reject: false,
    timeout: timeLimitMs,
  });
  const { exitCode, timedOut } = await run;
  endGroup(run.pid as number);
  const output = readFileSync(log, 'latin1');
  const skipped = /^1\.\.0 # SKIP (.*)$/m.exec(output)?.[1];
  return { passed: exitCode === 0, timedOut, skipped, output };
}

/** Passes on the baseline: why a test is no comparison, or undefined. */
function whyNoComparison(baseline: Outcome): string | undefined {
  if (baseline.skipped !== undefined) return `upstream skips it: ${baseline.skipped}`;
  if (!baseline.passed) return 'fails on the baseline too';
  return undefined;
}

async function compare({ port, forms }: Suite, command: string[], skip: (reason: string) => void) {
  const runs: [string, Outcome][] = [];
  const script = basename(command.at(-1) as string);
  for (const { name, options } of forms.filter(({ without }) => !without?.includes(script)))
    runs.push([name, await runUpstream(port, 'megapipe', command, options)]);
  const needsBaseline =
    !isOneEngine || runs.some(([, { passed, skipped }]) => !passed || skipped !== undefined);
  const reason = needsBaseline ? whyNoComparison(await runUpstream(port, 'baseline', command)) : undefined;
  if (reason !== undefined) return skip(reason);
  for (const [name, { passed, timedOut, output }] of runs) {
    const how = timedOut ? `has not ended after ${timeLimitMs / 1000} s` : 'fails';
    expect(passed, `passes on the baseline, ${how} on ${name}:\n${output.slice(-5000)}`).toBe(true);
  }
}

/** What of upstream's to run with MegaPipe, and how. */
type Suite = { port: Port; forms: Form[] };

/** Options of a server; and what of upstream's is of what they exclude. */
type Form = { name: string; options: string; without?: string[] };

/** With MegaPipe on every engine that works here. */
export function onEngines(more = '', without: string[] = []): Form[] {
  const working = engines.filter(({ missing }) => missing === undefined);
  return working.map(({ engine }) => ({
    name: `engine ${engine}${more}`,
    options: `megapipe,megapipe_engine=${engine}${more}`,
    without,
  }));
}

/** A test for each of upstream's programs and scripts. */
export function describeUpstream(suite: Suite) {
  vi.setConfig({ maxConcurrency: isOneEngine ? 1 : 10 });
  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), 'megapipe-upstream-'));
  });
  afterAll(() => {
    rmSync(scratch, { recursive: true, force: true });
    if (retries > 0) console.log(`retried: ${retries} runs of upstream's tests that fail by chance`);
  });
  const scripts = readdirSync(join(variantDirectory(suite.port, 'baseline'), 't')).filter((name) =>
    name.endsWith('.t'),
  );
  const names = suite.forms.map(({ name }) => name).join(' and ');
  describe.concurrent(`upstream's tests, on the baseline and on ${names}`, () => {
    const programs = [['./testapp'], ['./sizes'], ...scripts.map((name) => ['perl', `t/${name}`])];
    for (const command of programs) {
      test(command.join(' '), { timeout: 1_800_000 }, ({ skip }) => compare(suite, command, skip));
    }
  });
}
