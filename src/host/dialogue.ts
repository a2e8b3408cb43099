import { execa } from 'execa';

/** Runs on the server's host, which may be a network namespace that this process is not in. */
const script =
  'exec 3<>"/dev/tcp/$1/$2" && printf %s "$3" >&3 && if [ "$4" ]; then head -c "$4"; else cat; fi <&3';

/**
 * Say something to a server and return all that it answers; the words must make it close the connection, unless so many
 * bytes of the answer will do.
 *
 * @param on puts a command on the host to ask from
 */
export async function dialogue(
  on: (command: string[]) => string[],
  address: string,
  port: number,
  words: string,
  bytes?: number,
): Promise<string> {
  const [file, ...args] = on([
    'bash',
    '-c',
    script,
    'dialogue',
    address,
    String(port),
    words,
    String(bytes ?? ''),
  ]) as [string, ...string[]];
  const { stdout } = await execa(file, args, { timeout: 30_000 });
  return stdout;
}
