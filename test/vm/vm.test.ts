import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import { findKernel, kernelNames, vmDir } from '../../src/vm/kernel.js';
import { prepareGuest, whyNoGuests } from '../../src/vm/prepare.js';
import { testUnless } from '../skip.js';
import { until } from '../waiting.js';
import { buildMoodyModule, type Mood } from './moody-module.js';

const testInGuest = testUnless(whyNoGuests());

/** A folder that the guest sees, which it would not below /tmp. */
const scratch = join(root, 'build/test', `vm-${randomBytes(4).toString('hex')}`);

/** Run `megapipe vm` as a person does; its output is bytes, and its failure a result. */
function vm(args: string[], input?: Buffer) {
  // Shorter than a test may take: what hangs then shows its kernel's log.
  const command = [join(root, 'src/bootstrap.js'), 'vm', '--time-limit', '240', ...args];
  const stdin = input ? { input } : { stdin: 'ignore' as const };
  const exact = { encoding: 'buffer', stripFinalNewline: false } as const;
  return execa(process.execPath, command, { ...stdin, ...exact, reject: false, cwd: scratch });
}

const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

/** The processes whose command line has a word. */
function processesWith(word: string): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(word);
    } catch {
      return false;
    }
  });
}

/** The kernel logs that were kept of guests whose kernel was given a word. */
function logsWith(word: string): string[] {
  const folder = join(vmDir, 'log');
  const files = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  return files.filter((file) => readFileSync(file, 'latin1').includes(word));
}

beforeAll(async () => {
  mkdirSync(scratch, { recursive: true });
  // That what is compiled for it is not among what the guest says.
  await vm(['--help']);
  if (whyNoGuests() === undefined) for (const name of kernelNames) await prepareGuest(name);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.each(kernelNames)('kernel %s', (kernel) => {
  testInGuest('runs a command as root, whose output and exit status come back apart and exact', async () => {
    const kept = join(scratch, `kept-${kernel}`);
    mkdirSync(kept);
    writeFileSync(join(scratch, 'before'), 'as it was');
    const script = `
      printf 'a\\0b\\377\\r\\n'; printf 'oops\\001' >&2
      uname -r > ${kept}/release
      { id -u; pwd; nproc; ulimit -n; echo $GREETING; cat before; } > ${kept}/facts
      echo changed > before; echo new > ${scratch}/after
      exit 37`;
    const options = [
      '--kernel',
      kernel,
      '--cpus',
      '3',
      '--writable',
      kept,
      '--environment',
      'GREETING=hello you',
    ];
    const { stdout, stderr, exitCode } = await vm([...options, '--no-module', '--', 'sh', '-c', script]);
    expect(text(stderr)).toBe('oops\x01');
    expect(Buffer.from(stdout ?? [])).toEqual(Buffer.from('a\0b\xff\r\n', 'latin1'));
    expect(exitCode).toBe(37);
    expect(readFileSync(join(kept, 'release'), 'utf8').trim()).toBe(findKernel(kernel).release);
    const facts = readFileSync(join(kept, 'facts'), 'utf8').split('\n');
    expect(facts).toEqual(['0', scratch, '3', '1048576', 'hello you', 'as it was']);
    expect(readFileSync(join(scratch, 'before'), 'utf8'), 'what the guest wrote elsewhere').toBe('as it was');
    expect(existsSync(join(scratch, 'after'))).toBe(false);
  });

  testInGuest('has what programs need: loopback, cgroups, terminals, modules, its own /tmp', async () => {
    const script = `
      const net = require('node:net'), fs = require('node:fs'), assert = require('node:assert');
      for (const file of ['/dev/shm/x', '/tmp/x', '/run/x', '/dev/pts', '/sys/kernel/debug'])
        file.endsWith('x') ? fs.writeFileSync(file, 'x') : fs.readdirSync(file);
      assert.match(fs.readFileSync('/sys/fs/cgroup/cgroup.subtree_control', 'utf8'), /memory/);
      assert.deepEqual(fs.readdirSync('/tmp'), ['x']);
      require('node:child_process').execFileSync('modprobe', ['tls']);
      for (const host of ['127.0.0.1', '::1']) {
        const server = net.createServer((socket) => {
          socket.end(host + ' ');
          server.close();
        });
        server.listen(0, host, () => net.connect(server.address().port, host).pipe(process.stdout, { end: false }));
      }`;
    const { stdout, stderr, exitCode } = await vm([
      '--kernel',
      kernel,
      '--no-module',
      '--',
      'node',
      '-e',
      script,
    ]);
    expect({ stderr: text(stderr), exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(text(stdout).trim().split(' ').sort()).toEqual(['127.0.0.1', '::1']);
  });
});

testInGuest('what comes in through standard input is what the command reads, to its end', async () => {
  const input = randomBytes(3 * 2 ** 20 + 17);
  const { stdout, exitCode } = await vm(['--no-module', '--', 'cat'], input);
  expect(exitCode).toBe(0);
  expect(Buffer.from(stdout ?? []).equals(input)).toBe(true);
});

testInGuest(
  'a command that dies of a signal, and leaves a process, ends the guest all the same',
  async () => {
    const { stdout, exitCode } = await vm([
      '--no-module',
      '--',
      'sh',
      '-c',
      'sleep 1000 & echo said; kill -SEGV $$',
    ]);
    expect(text(stdout)).toBe('said\n');
    expect(exitCode).toBe(128 + 11);
  },
);

testInGuest('a kernel that panics is an error that shows its log and where all of it is', async () => {
  const { stdout, stderr, exitCode } = await vm([
    '--no-module',
    '--',
    'sh',
    '-c',
    'echo c > /proc/sysrq-trigger',
  ]);
  expect(exitCode).toBe(1);
  expect(text(stdout)).toBe('');
  expect(text(stderr)).toMatch(/^megapipe: the guest's kernel complained:\n/);
  expect(text(stderr)).toContain('Kernel panic - not syncing: sysrq triggered crash');
  const [, log = ''] = /whole log is in (\S+)$/m.exec(text(stderr)) ?? [];
  expect(readFileSync(log, 'utf8')).toContain('Linux version');
  rmSync(log);
});

testInGuest('a guest that takes too long is ended, and that is an error', async () => {
  const word = `test.${randomBytes(8).toString('hex')}`;
  const options = ['--no-module', '--time-limit', '6', '--kernel-option', word];
  const { stderr, exitCode } = await vm([...options, '--', 'sleep', '1000']);
  expect(exitCode).toBe(1);
  expect(text(stderr)).toContain('the guest had not ended after 6 s');
  expect(processesWith(word)).toEqual([]);
});

describe('a guest', () => {
  const word = `test.${randomBytes(8).toString('hex')}`;

  async function startAndKill(signal: NodeJS.Signals) {
    const guest = vm(['--no-module', '--kernel-option', word, '--', 'sh', '-c', 'echo started; sleep 1000']);
    await new Promise((resolve) => guest.stdout?.once('data', resolve));
    expect(processesWith(word).length).toBeGreaterThan(1);
    guest.kill(signal);
    return guest;
  }

  testInGuest('ends, and leaves nothing, when megapipe is told to end', async () => {
    const end = await startAndKill('SIGTERM');
    expect(end.signal).toBe('SIGTERM');
    expect(text(end.stderr)).toBe('megapipe: interrupted; the virtual machine was ended\n');
    expect(processesWith(word)).toEqual([]);
    expect(logsWith(word)).toEqual([]);
  });

  testInGuest('ends when megapipe is killed', async () => {
    await startAndKill('SIGKILL');
    await until('no process is left', () => processesWith(word).length === 0);
  });
});

describe('a module', () => {
  let file: string;
  const run = (mood: Mood, script: string) =>
    vm(['--module', file, '--module-parameter', `mood=${mood}`, '--', 'sh', '-c', script]);

  beforeAll(async () => {
    if (whyNoGuests() === undefined) file = await buildMoodyModule(findKernel('6.1'), scratch);
  });

  testInGuest('is loaded with its parameters before the command', async () => {
    const { stdout, stderr, exitCode } = await run('good', 'cat /sys/module/moody_module/parameters/mood');
    expect([text(stderr), text(stdout), exitCode]).toEqual(['', 'good\n', 0]);
  });

  testInGuest('that cannot be loaded fails the run before the command', async () => {
    const { stdout, stderr, exitCode } = await run('refuses', 'echo ran');
    expect([text(stdout), exitCode]).toEqual(['', 1]);
    expect(text(stderr)).toContain('the guest cannot load the module: No such device');
  });

  testInGuest('that warns when it is removed fails the run, whatever the command’s status', async () => {
    const { stdout, stderr, exitCode } = await run('warns', 'echo ran');
    expect([text(stdout), exitCode]).toEqual(['ran\n', 1]);
    expect(text(stderr)).toMatch(/WARNING: .* leave\+/);
  });
});

test.each([
  [['--kernel', '5.4', '--', 'true'], '5.4'],
  [['--cpus', '0', '--', 'true'], '--cpus'],
  [['--writable', '/nowhere', '--', 'true'], '/nowhere'],
  [['--environment', 'HOME', '--', 'true'], 'HOME'],
  [[], 'command'],
])('%j is refused by name', async (args, named) => {
  const { stderr, exitCode } = await vm(['--no-module', ...args]);
  expect(exitCode).toBe(2);
  expect(text(stderr)).toMatch(new RegExp(`^megapipe: .*${named}`));
});
