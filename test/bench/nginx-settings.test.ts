import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, describe, expect, test } from 'vitest';
import { nginxConfig } from '../../src/bench/application/nginx/config.js';
import { complaints, identify } from '../../src/bench/application/nginx/identity.js';
import { baseline, megapipe, parseVariant, reuseport, whole } from '../../src/bench/application/variant.js';
import { checkIdentity } from '../../src/bench/sample.js';
import { makeFolder } from '../../src/host/folders.js';

const place = { address: '127.0.0.1', port: 8080, workers: 2, cpus: [0, 3] };
const folders = { scratch: '/scratch', content: '/content' };
const configOf = (id: string) => nginxConfig(parseVariant(id), place, folders);

describe('nginx’s configuration', () => {
  /** Without what the variants may differ in. */
  const common = (id: string) =>
    configOf(id)
      .replace(/^ {2}(?:use|megapipe_\w+) .*\n/gm, '')
      .replace(' reuseport;', ';');

  test('differs between variants in the events block and in reuseport, and in nothing else', () => {
    for (const id of ['reuseport', 'uring', 'uring+P', 'epoll+PBL'])
      expect(common(id)).toBe(common('baseline'));
    expect(common('baseline')).toMatch(/events \{\n {2}worker_connections/);
  });

  test('is stock I/O’s with and without an accept queue a worker', () => {
    expect(configOf('baseline')).toContain('use epoll;');
    expect(configOf('baseline')).toContain('listen 127.0.0.1:8080 backlog=4096;');
    expect(configOf('reuseport')).toContain('listen 127.0.0.1:8080 backlog=4096 reuseport;');
  });

  test('has MegaPipe’s engine and each technique as the variant has it', () => {
    const config = nginxConfig(megapipe('uring', ['batch', 'lwsocket'], 8), place, folders);
    for (const directive of ['engine uring', 'batch 8', 'lwsocket on', 'partition off', 'moderation_us 0'])
      expect(config).toContain(`megapipe_${directive};`);
    expect(configOf('epoll+P')).toContain('megapipe_batch 1;');
    expect(configOf('epoll+P')).toContain('megapipe_partition on;');
  });

  test('pins each worker to a CPU', () => {
    expect(configOf('baseline')).toContain('worker_processes 2;\nworker_cpu_affinity 1 1000;');
    const crowded = nginxConfig(baseline, { ...place, workers: 3 }, folders);
    expect(crowded).toContain('worker_cpu_affinity 1 1000 1;');
  });
});

describe('nginx’s log', () => {
  const notice = (text: string) => `2026/01/02 03:04:05 [notice] 12#12: ${text}\n`;
  const logOf = (line: string) => notice('using the "megapipe" event method') + notice(line);

  test('tells what the server ran as', () => {
    expect(identify(notice('using the "epoll" event method'))).toBeNull();
    expect(
      identify(logOf('megapipe: engine uring, batch 32, lwsocket on, partition off, moderation 0 us')),
    ).toEqual({
      engine: 'uring',
      batch: 32,
      moderationUs: 0,
      techniques: ['batch', 'lwsocket'],
    });
  });

  test('that does not tell is no proof', () => {
    expect(() => identify('')).toThrow('which event method');
    expect(() => identify(notice('using the "megapipe" event method'))).toThrow('which engine');
  });

  test('of something else than was asked for is told as that', () => {
    const ran = identify(
      logOf('megapipe: engine epoll, batch 32, lwsocket on, partition on, moderation 0 us'),
    );
    expect(() => checkIdentity(whole('epoll'), ran)).not.toThrow();
    expect(() => checkIdentity(whole('uring'), ran)).toThrow('the server ran as epoll+PBL');
    expect(() => checkIdentity(whole('uring'), null)).toThrow('the server ran as baseline');
    expect(() => checkIdentity(reuseport, ran)).toThrow('ran on channels, not as reuseport');
    expect(() => checkIdentity(reuseport, null)).not.toThrow();
  });

  test('is shown by its complaints, each once', () => {
    const emerg = (pid: number) =>
      `2026/01/02 03:04:05 [emerg] ${pid}#${pid}: mp_create() failed (1: Operation not permitted)\n`;
    expect(complaints(notice('start worker processes') + emerg(1) + emerg(2))).toEqual({
      words: '[emerg] mp_create() failed (1: Operation not permitted)',
      fatal: true,
    });
    expect(complaints(notice('start worker processes'))).toEqual({ words: '', fatal: false });
  });
});

describe('folders of servers', () => {
  const made: string[] = [];
  afterEach(() => {
    for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  test('can be read by workers that are another user', () => {
    made.push(makeFolder(tmpdir()));
    expect(statSync(made[0] as string).mode & 0o777).toBe(0o755);
  });

  test('of a process that died are removed, those of a living one are not', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'megapipe-parent-'));
    made.push(parent);
    const ended = execa('true');
    await ended;
    const [stale, foreign] = [`megapipe-folder-${ended.pid}-x`, `megapipe-folder-${process.ppid}-x`];
    for (const name of [stale, foreign]) mkdirSync(join(parent, name));
    const own = makeFolder(parent);
    expect(existsSync(join(parent, stale))).toBe(false);
    expect(existsSync(join(parent, foreign))).toBe(true);
    expect(existsSync(own)).toBe(true);
  });
});
