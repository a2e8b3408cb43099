import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import { freePort } from '../../src/host/free-port.js';
import { childrenOf, isRunning, newResults, runOf, start } from '../bench/running.js';
import { engines } from '../engines.js';
import { megapipe } from '../megapipe.js';
import { testUnless } from '../skip.js';

// A port that is no part of the kit: its server is brought to MegaPipe, run, loaded and measured as somebody else's would be.

const port = join(root, 'test/port/lighttpd');

/** What is asked for: some of a workload's files, and one that takes many writes. */
const files = new Map<string, Buffer>();
const folder = mkdtempSync(join(tmpdir(), 'megapipe-lighttpd-'));
const large = 'large';

beforeAll(async () => {
  // Only the hook's own limit ends what hangs: it compiles some sixty files, twice.
  const command = [join(root, 'src/bootstrap.js'), 'build', port];
  const { all, exitCode } = await execa(process.execPath, command, { all: true, reject: false });
  expect(exitCode, all).toBe(0);
  await megapipe(['files', 'specweb', folder]);
  for (const name of readdirSync(join(folder, 'specweb')).slice(0, 20))
    files.set(`specweb/${name}`, readFileSync(join(folder, 'specweb', name)));
  files.set(large, randomBytes(3_000_000));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function serving(...args: string[]) {
  const at = await freePort();
  const server = start(['serve', port, '--port', String(at), '--workloads', 'specweb', ...args]);
  const url = `http://127.0.0.1:${at}/`;
  const status = () =>
    fetch(url).then(
      (response) => response.status,
      () => 0,
    );
  await expect.poll(status).toBe(403);
  const [child] = childrenOf(server.pid as number);
  const config = readFileSync(/-f (\S+)/.exec(child?.command ?? '')?.[1] ?? '', 'utf8');
  const root = /document-root = "(.+)"/.exec(config)?.[1] as string;
  writeFileSync(join(root, large), files.get(large) as Buffer);
  return { server, url };
}

/** Over connections of an agent's. */
function get(url: string, agent: Agent): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent }, async (response) => {
      resolve(Buffer.concat(await response.toArray()));
    });
    asked.on('error', reject).end();
  });
}

const forms = [
  { name: 'the baseline', args: ['--variant', 'baseline'], missing: undefined },
  ...engines.flatMap(({ engine, missing }) => [
    { name: `MegaPipe on ${engine}`, args: ['--engine', engine], missing },
    {
      name: `MegaPipe on ${engine}, without lwsockets`,
      args: ['--engine', engine, '--no-lwsocket'],
      missing,
    },
  ]),
];

describe.each(forms)('lighttpd as $name', ({ args, missing }) => {
  testUnless(missing)(
    'serves files over connections that live on, that close, and that go on at once',
    async () => {
      const { server, url } = await serving(...args);
      for (const keepAlive of [true, false]) {
        const agent = new Agent({ keepAlive, maxSockets: 8 });
        const got = await Promise.all(
          [...files].map(async ([path, file]) => (await get(url + path, agent)).equals(file)),
        );
        expect(got).toEqual([...files].map(() => true));
        agent.destroy();
      }
      const urls = [...files.keys()].map((path) => url + path);
      const { stdout } = await execa('curl', ['-s', '-S', '-Z', ...urls], {
        encoding: 'buffer',
        maxBuffer: 1e8,
      });
      expect(stdout.length).toBe([...files.values()].reduce((sum, { length }) => sum + length, 0));
      const children = childrenOf(server.pid as number).map(({ pid }) => pid);
      server.kill('SIGTERM');
      const { exitCode, all } = await server;
      expect(exitCode, all).toBe(0);
      expect(children.filter(isRunning)).toEqual([]);
      if (args.includes('--engine'))
        expect(all).toMatch(
          new RegExp(`engine ${args[1]}, batch 32, lwsocket ${args[2] ? 'off' : 'on'}, partition off`),
        );
      else expect(all).not.toContain('batch');
    },
  );

  testUnless(missing)(
    'answers every request of a load, and clients that leave amid an answer do no harm',
    async () => {
      const { server, url } = await serving(...args);
      const leave = ['-s', '--limit-rate', '1000', '--max-time', '0.5', url + large];
      await Promise.all(Array.from({ length: 10 }, () => execa('curl', leave, { reject: false })));
      const generator = ['--workload', 'specweb', '--requests', '3000', '--concurrency', '32', '--json'];
      const { stdout, stderr, exitCode } = await megapipe(['load', port, url, ...generator]);
      expect(exitCode, stderr).toBe(0);
      const { whole } = JSON.parse(stdout) as { whole: { errors: Record<string, number>; statuses: object } };
      expect(Object.values(whole.errors).filter((count) => count > 0)).toEqual([]);
      expect(Object.keys(whole.statuses)).toEqual(['200']);
      server.kill('SIGTERM');
      expect((await server).exitCode).toBe(0);
    },
  );
});

describe('bench and serve of a port of others', () => {
  const working = engines.filter(({ missing }) => missing === undefined).map(({ engine }) => `${engine}+BL`);

  test('measure its variants against its baseline, and the results name it', async () => {
    const out = newResults();
    const few = ['--workloads', 'specweb', '--samples', '1', '--duration', '0.3', '--topology', 'loopback'];
    const args = ['bench', port, '--no-setup', ...few, '--variants', working.join(), '--out', out];
    const { all, stdout, exitCode } = await start(args);
    expect(exitCode, all).toBe(0);
    const { machine, samples } = runOf(out);
    expect(machine.workload.application).toBe('lighttpd');
    expect(machine.workload.lines?.changed).toBeGreaterThan(0);
    expect(machine.versions.lighttpd).toBe('1.4.69');
    const timed = samples.filter(({ kind }) => kind === 'timed');
    expect(timed.map(({ variant, point, status }) => [variant.id, point.cores, status])).toEqual(
      ['baseline', ...working].map((id) => [id, 1, 'ok']),
    );
    expect(stdout).toContain('lighttpd');
    expect(stdout).toContain('specweb');
    expect(readFileSync(out.replace('.ndjson', '.html'), 'utf8')).toContain('lighttpd');
    rmSync(join(out, '..'), { recursive: true });
  });

  test.each([
    [
      ['bench', port, '--variants', 'uring+PBL'],
      'lighttpd has no technique partition; it has: batch, lwsocket',
    ],
    [['bench', port, '--cores', '1'], 'lighttpd has no choice of --cores; '],
    [['bench', port, '--version', '9'], 'the port of lighttpd has no version 9; it has: 1.4.69'],
    [
      ['serve', port, '--threads', '2'],
      'lighttpd has one worker, whatever --threads says; leave --threads out',
    ],
    [['serve', port, '--variant', 'reuseport'], 'lighttpd has no variant reuseport; '],
    [['serve', './nowhere'], 'there is no port of ./nowhere: '],
    [['load', './nowhere'], 'there is no port of ./nowhere: '],
  ])('%j is refused in one line, with status 2', async (args, said) => {
    const { stderr, exitCode } = await megapipe(args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`megapipe: ${said}`);
    expect(stderr.split('\n')).toHaveLength(1);
  });
});
