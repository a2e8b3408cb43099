import { existsSync, readFileSync } from 'node:fs';

const osRelease = '/etc/os-release';

/** The code name of the distribution's release that this machine runs, such as `trixie`; undefined where it tells none. */
export function thisRelease(): string | undefined {
  if (!existsSync(osRelease)) return undefined;
  return /^VERSION_CODENAME="?([\w-]+)"?$/m.exec(readFileSync(osRelease, 'utf8'))?.[1];
}
