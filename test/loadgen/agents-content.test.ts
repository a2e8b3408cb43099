import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { arriving, piecesOf, sizesOf } from '../../loadgen/agents/pieces.js';
import { httpResultSchema } from '../../loadgen/http-result.js';
import { readTrace, shareTrace } from '../../loadgen/http-trace.js';
import { startFakeHttp } from './fake-http.js';
import { httpGiven, strangerAt } from './stranger.js';
import { agentHere, agentsForTest, conduct, natsForTest } from './team.js';

const scratch = mkdtempSync(join(tmpdir(), 'megapipe-content-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function fakeHttp() {
  const server = await startFakeHttp();
  onTestFinished(() => server.stop());
  return server;
}

function file(name: string, text: string): string {
  writeFileSync(join(scratch, name), text);
  return join(scratch, name);
}

describe('an order', () => {
  test('that names a file has the agent read none', async () => {
    const server = await fakeHttp();
    const secret = file('secret', 'nobody is to see this');
    const nats = await natsForTest();
    await agentHere(nats.url);
    const stranger = await strangerAt(nats.url);
    for (const named of [{ bodyFile: secret, method: 'POST' }, { trace: secret }]) {
      const told = await stranger.order('http', { ...httpGiven(server.url), ...named });
      expect(told).toMatchObject({
        kind: 'failed',
        message: expect.stringMatching(/no option "(bodyFile|trace)"/),
      });
    }
    expect(server.requests).toEqual([]);
  });

  test('brings a body in pieces, as large as the NATS server takes them', async () => {
    const server = await fakeHttp();
    const nats = await natsForTest({ maxPayload: 60_000 });
    await agentsForTest(nats.url, ['a', 'b']);
    const body = Array.from({ length: 20_000 }, (_, i) => `${i},`).join('');
    const args = [server.url, '--body-file', file('body', body), '--concurrency', '2', '--requests', '4'];
    const { stdout, stderr, exitCode } = await conduct('http', [
      ...args,
      ...['--agents', '2', '--nats', nats.url, '--json'],
    ]);
    expect(exitCode, stderr).toBe(0);
    expect(httpResultSchema.parse(JSON.parse(stdout)).requests.total).toBe(4);
    expect(server.requests.map((request) => request.method)).toEqual(['POST', 'POST', 'POST', 'POST']);
    expect(server.requests.every((request) => request.body === body)).toBe(true);
  });

  test('brings each agent the connections of a trace that are its own', async () => {
    const server = await fakeHttp();
    const nats = await natsForTest();
    await agentsForTest(nats.url, ['a', 'b']);
    const trace = file('trace', 'connection,path\na,/a1\nb,/b1\na,/a2\nc,/c1\nb,/b2\n');
    const args = [server.url, '--trace', trace, '--concurrency', '2', '--threads', '2'];
    const { stdout, stderr, exitCode } = await conduct('http', [
      ...args,
      ...['--agents', '2', '--nats', nats.url, '--json'],
    ]);
    expect(exitCode, stderr).toBe(0);
    const { agents } = httpResultSchema.parse(JSON.parse(stdout));
    expect(agents?.map(({ requests }) => requests)).toEqual([3, 2]);
    expect(server.requests.map(({ path }) => path).sort()).toEqual(['/a1', '/a2', '/b1', '/b2', '/c1']);
    const few = await conduct('http', [
      server.url,
      '--trace',
      file('one', 'connection,path\na,/\n'),
      ...['--agents', '2', '--nats', nats.url],
    ]);
    expect(few.exitCode).toBe(2);
    expect(few.stderr).toContain(
      "--trace has 1 connections, which can't be shared by 2 agents; take fewer agents",
    );
  });
});

describe('pieces', () => {
  const content = { body: Buffer.from('0123456789'), trace: Buffer.from('path\n/\n') };

  test('make the content again, whatever fits into a message', async () => {
    for (const most of [1, 520, 1 << 20]) {
      const { take, whole } = arriving(sizesOf(content));
      for (const piece of piecesOf('r', content, most)) expect(take(piece)).toBeNull();
      expect(await whole).toEqual(content);
    }
    expect(await arriving({}).whole).toEqual({});
    expect(await arriving({ body: 0 }).whole).toEqual({ body: Buffer.alloc(0) });
  });

  test('are refused out of their order, twice, or beyond what was announced', () => {
    const [first, second] = [...piecesOf('r', content, 516)];
    if (!first || !second) throw new Error('there are no pieces');
    const { take } = arriving(sizesOf(content));
    expect(take(second)).toContain('not the one that comes next');
    expect(take(first)).toBeNull();
    expect(take(first)).toContain('not the one that comes next');
    expect(take({ ...second, base64: 'A'.repeat(64) })).toContain('not the one that comes next');
    expect(take({ ...second, base64: '' })).toContain('not the one that comes next');
    expect(take({ ...second, of: 'trace', at: 0 })).toContain('not the one that comes next');
    expect(take(second)).toBeNull();
  });
});

test('a trace without connections is walked by all', () => {
  const trace = Buffer.from('path\n/a\n/b\n');
  const usual = { method: 'GET', path: '/', expect: {} };
  const shares = shareTrace(trace, 2).map((share) => readTrace(share, usual));
  expect(shares).toEqual([readTrace(trace, usual), readTrace(trace, usual)]);
});
