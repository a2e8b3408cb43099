import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import { UserError } from '../../src/base/errors.js';

const usual = 'nobody';

/** A user's numbers, wherever the system keeps them. */
async function numbersOf(user: string): Promise<{ uid: number; gid: number }> {
  const { stdout, exitCode } = await execa('getent', ['passwd', '--', user], { reject: false });
  const [, , uid, gid] = String(stdout ?? '').split(':');
  if (exitCode === 0 && uid && gid) return { uid: Number(uid), gid: Number(gid) };
  throw new UserError(`there is no user ${user} to run as`, { hint: '--user names another' });
}

/** Node's types lack it. */
type WithGroups = { initgroups?: (user: number, group: number) => void };

async function become(user: string): Promise<void> {
  const { uid, gid } = await numbersOf(user);
  try {
    (process as WithGroups).initgroups?.(uid, gid);
    process.setgid?.(gid);
    process.setuid?.(uid);
  } catch (cause) {
    throw new UserError(`can't become ${user}: ${(cause as Error).message}`, {
      hint: '--user root keeps the rights',
      cause,
    });
  }
}

/** Whether the kernel gives this process rights that users don't have. */
function hasCapabilities(): boolean {
  const [, set = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  return BigInt(`0x${set}`) !== 0n;
}

/**
 * Give up root's rights, or keep them where that is asked for.
 *
 * @returns what the process runs as, in words
 */
export async function dropRights(user: string | undefined): Promise<string> {
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && user !== undefined)
    throw new UserError(`only root can become ${user}`, { hint: 'leave out --user, or start it as root' });
  if (isRoot && user !== 'root') await become(user ?? usual);
  const who = isRoot ? `it runs as ${user ?? usual}` : `it runs as user ${process.getuid?.()}`;
  return hasCapabilities()
    ? `${who}, and has root's rights or some of them`
    : `${who}, without root's rights`;
}
