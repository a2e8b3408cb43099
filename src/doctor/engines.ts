import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { execa } from 'execa';
import { buildDir } from '../base/paths.js';
import type { Finding } from './finding.js';

type Probe = { engine: string; error: number; features: string; missing: string; why: string };

const costs: Record<string, string> = {
  kernel: 'sockets are made with their VFS part, about a fifth of the work at one request a connection',
  uring: 'requests are not handed over in batches: more system calls',
  epoll: 'MegaPipe cannot run at all',
};

/** What can be done about the errors of an engine; the library says what they mean. */
const remedies: Record<string, Record<string, string>> = {
  kernel: {
    ENODEV: 'as root, with the headers of this kernel installed: make -C kernel install && modprobe megapipe',
    EPERM: 'permit it to this user: see kernel/megapipe.rules',
    ENOSYS:
      'load the one that belongs to this library: make -C kernel install, rmmod megapipe, modprobe megapipe',
  },
  uring: {
    ENOSYS: 'boot Linux 6.1 or newer with io_uring compiled in',
    EPERM:
      'allow io_uring: sysctl kernel.io_uring_disabled=0, and in a container a seccomp profile that permits it',
    ENOMEM: 'ulimit -l unlimited, or LimitMEMLOCK=infinity in a systemd unit',
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
  const [engine = '', error, features = '', missing = '', why = ''] = line.split('\t');
  return { engine, error: Number(error), features, missing, why };
}

function engineFinding({ engine, error, features, missing, why }: Probe): Finding {
  const base = { area: 'engines', name: engine } as const;
  if (error !== 0) return unavailable(engine, getSystemErrorName(error), why);
  if (missing === '') return { ...base, state: 'yes', detail: `uses ${features}` };
  const detail = `uses ${features}; this kernel lacks ${missing}`;
  return {
    ...base,
    state: 'limited',
    detail,
    cost: 'what is lacking is done another way, which takes more CPU',
  };
}

function unavailable(engine: string, error: string, why: string): Finding {
  const finding: Finding = { area: 'engines', name: engine, state: 'no', detail: `${error}: ${why}` };
  const cost = costs[engine];
  if (cost) finding.cost = cost;
  const remedy = remedies[engine]?.[error];
  if (remedy) finding.remedy = remedy;
  return finding;
}
