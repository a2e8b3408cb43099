import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { root } from '../../src/base/paths.js';
import type { Diagnosis } from '../../src/doctor/doctor.js';
import type { Finding } from '../../src/doctor/finding.js';
import { packetRuleFindings, securityModuleFindings } from '../../src/doctor/rights.js';
import { megapipe } from '../megapipe.js';
import { nobody, whyNotAsNobody } from '../nobody.js';
import { testUnless } from '../skip.js';

function named(diagnosis: Diagnosis, name: string): Finding {
  const finding = diagnosis.findings.find((candidate) => candidate.name === name);
  if (!finding) throw new Error(`nothing was found about ${name}`);
  return finding;
}

async function diagnosis(): Promise<Diagnosis> {
  const { stdout, exitCode } = await megapipe(['doctor', '--json']);
  expect(exitCode).toBe(0);
  return JSON.parse(stdout);
}

test('every engine is probed; epoll works everywhere', async () => {
  const found = await diagnosis();
  const engines = found.findings.filter(({ area }) => area === 'engines');
  expect(engines.map(({ name }) => name)).toEqual(['kernel', 'uring', 'epoll']);
  expect(named(found, 'epoll').state).not.toBe('no');
  expect(named(found, 'kernel').state === 'no').toBe(!existsSync('/dev/megapipe'));
});

test('what is not as it should be says what that costs', async () => {
  const { findings } = await diagnosis();
  for (const finding of findings.filter(({ state }) => state !== 'yes')) {
    expect(finding.cost, finding.name).toBeTruthy();
  }
});

test('the text tells all that the JSON does', async () => {
  const { findings } = await diagnosis();
  const { stdout } = await megapipe(['doctor']);
  for (const { name, detail } of findings) {
    expect(stdout).toContain(name);
    expect(stdout).toContain(detail);
  }
});

test('packet rules that cannot see lwsockets are told, where the module and such rules are loaded', () => {
  const modules = mkdtempSync(join(tmpdir(), 'megapipe-modules-'));
  const load = (name: string, parameters: Record<string, string> = {}) => {
    mkdirSync(join(modules, name, 'parameters'), { recursive: true });
    for (const [parameter, value] of Object.entries(parameters))
      writeFileSync(join(modules, name, 'parameters', parameter), `${value}\n`);
  };
  try {
    expect(packetRuleFindings(modules)).toEqual([]);
    load('megapipe', { lwsocket_file: 'N', no_lwsockets: 'N' });
    expect(packetRuleFindings(modules)[0]?.state).toBe('yes');
    load('xt_owner');
    const [finding] = packetRuleFindings(modules);
    expect(finding?.state).toBe('limited');
    expect(finding?.detail).toContain('xt_owner');
    expect(finding?.cost).toBeTruthy();
    load('megapipe', { no_lwsockets: 'Y' });
    expect(packetRuleFindings(modules)[0]?.state).toBe('yes');
  } finally {
    rmSync(modules, { recursive: true });
  }
});

test('security modules that watch accept() are told of, where lwsockets may be accepted', () => {
  const folder = mkdtempSync(join(tmpdir(), 'megapipe-modules-'));
  const listed = join(folder, 'lsm');
  const found = () => securityModuleFindings(folder, listed)[0];
  try {
    writeFileSync(listed, 'lockdown,capability,landlock,yama,apparmor\n');
    expect(found()).toBeUndefined();
    mkdirSync(join(folder, 'megapipe/parameters'), { recursive: true });
    expect(found()).toMatchObject({ state: 'limited', detail: expect.stringMatching(/: apparmor$/) });
    writeFileSync(join(folder, 'megapipe/parameters/no_lwsockets'), 'Y\n');
    expect(found()?.state).toBe('yes');
    rmSync(join(folder, 'megapipe/parameters/no_lwsockets'));
    writeFileSync(listed, 'capability,landlock,yama\n');
    expect(found()?.state).toBe('yes');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('looking leaves no namespace and no interface behind', async () => {
  const before = await execa('ip', ['-o', 'link']);
  await diagnosis();
  const after = await execa('ip', ['-o', 'link']);
  expect(after.stdout).toBe(before.stdout);
  expect((await execa('ip', ['netns', 'list'])).stdout).not.toContain('probe');
});

testUnless(whyNotAsNobody())('without rights it says which are missing and what to do', async () => {
  await megapipe(['--help']);
  const command = [join(root, 'dist/src/cli.js'), 'doctor', '--json'];
  const { stdout } = await execa(process.execPath, command, { uid: nobody, gid: nobody, cwd: '/' });
  const found: Diagnosis = JSON.parse(stdout);
  expect(named(found, 'rights').state).toBe('limited');
  expect(named(found, 'rights').detail).toContain('CAP_NET_ADMIN');
  expect(named(found, 'RPS')).toMatchObject({ state: 'no', remedy: expect.stringContaining('root') });
});
