import { expect, test } from 'vitest';
import { megapipe } from '../megapipe.js';

test('--help lists the commands', async () => {
  const { stdout, exitCode } = await megapipe(['--help']);
  expect(exitCode).toBe(0);
  for (const command of ['setup', 'doctor', 'build', 'serve', 'load', 'bench', 'report'])
    expect(stdout).toMatch(new RegExp(`^ {2}${command} `, 'm'));
});

test.each([
  [['frobnicate'], 'frobnicate'],
  [['build', 'memcached', '--frob'], '--frob'],
  [['build'], 'application'],
  [['build', 'memcached', '--variant', 'third'], 'third'],
  [['build', 'memcached', '--sha256', 'abc'], 'abc'],
  [['build', 'postfix'], 'postfix'],
  [['setup', '--for', 'fun'], 'fun'],
  [['load'], 'memcached'],
  [['load', 'memcached'], '--server'],
  [['bench', 'postfix'], 'postfix'],
  [['serve', 'memcached', '--variant', 'third'], 'third'],
  [['report'], 'results'],
])('%j is refused by name, in one line, with status 2', async (args, named) => {
  const { stdout, stderr, exitCode } = await megapipe(args);
  expect(exitCode).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^megapipe: .*[^.]; .+$/);
  expect(stderr.split('\n')).toHaveLength(1);
  expect(stderr).toContain(named);
});

test('without a command it shows the commands, and that is an error', async () => {
  const { stderr, exitCode } = await megapipe([]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('Commands:');
});
