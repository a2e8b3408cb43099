import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { execa } from 'execa';
import type { Finding } from './doctor.js';
import { buildDir } from './paths.js';

type Probe = { engine: string; error: number; features: string; missing: string };

const costs: Record<string, string> = {
  kernel: 'sockets are made with their VFS part, about a fifth of the work at one request a connection',
  uring: 'requests are not handed over in batches: more system calls',
  epoll: 'MegaPipe cannot run at all',
};

const uringRemedies: Record<string, string> = {
  ENOSYS: 'boot Linux 6.1 or newer with io_uring compiled in',
  EPERM:
    'allow io_uring: sysctl kernel.io_uring_disabled=0, and in a container a seccomp profile that permits it',
};

/** What the errors of engine `kernel` mean, and what can be done. */
const moduleFaults: Record<string, { detail: string; remedy: string }> = {
  ENODEV: {
    detail: '/dev/megapipe is not there',
    remedy: 'as root, with the headers of this kernel installed: make -C kernel install && modprobe megapipe',
  },
  EPERM: {
    detail: '/dev/megapipe may not be opened',
    remedy: 'permit it to this user: see kernel/megapipe.rules',
  },
  ENOSYS: {
    detail: 'the module that is loaded is of another version',
    remedy:
      'load the one that belongs to this library: make -C kernel install, rmmod megapipe, modprobe megapipe',
  },
};

/** The three engines, as the library itself finds them. */
export async function engineFindings(): Promise<Finding[]> {
  const probe = join(buildDir, 'libmegapipe/megapipe-probe');
  if (!existsSync(probe)) {
    const detail = 'not known: libmegapipe is not built';
    return [{ area: 'engines', name: 'all', state: 'no', detail, remedy: 'run: npm run build' }];
  }
  const { stdout } = await execa(probe, { timeout: 30_000 });
  return stdout.split('\n').map((line) => engineFinding(parseProbe(line)));
}

function parseProbe(line: string): Probe {
  const [engine, error, features, missing] = line.split('\t') as [string, string, string, string];
  return { engine, error: Number(error), features: features.trim(), missing: missing.trim() };
}

function engineFinding({ engine, error, features, missing }: Probe): Finding {
  const base = { area: 'engines', name: engine } as const;
  if (error !== 0) return unavailable(engine, getSystemErrorName(error));
  if (missing === '') return { ...base, state: 'yes', detail: `uses ${features}` };
  const detail = `uses ${features}; this kernel lacks ${missing}`;
  return {
    ...base,
    state: 'limited',
    detail,
    cost: 'what is lacking is done another way, which takes more CPU',
  };
}

function unavailable(engine: string, error: string): Finding {
  const finding: Finding = { area: 'engines', name: engine, state: 'no', detail: error };
  const cost = costs[engine];
  if (cost) finding.cost = cost;
  if (engine === 'kernel') {
    const fault = moduleFaults[error];
    if (fault) Object.assign(finding, { detail: `${error}: ${fault.detail}`, remedy: fault.remedy });
  }
  if (engine === 'uring') {
    finding.detail = `${error}: kernel.io_uring_disabled is ${uringDisabled()}`;
    const remedy = uringRemedies[error];
    if (remedy) finding.remedy = remedy;
  }
  return finding;
}

function uringDisabled(): string {
  const file = '/proc/sys/kernel/io_uring_disabled';
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : 'not known to this kernel';
}
