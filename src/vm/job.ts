/** What the guest's first process is to do; test/vm/init.c reads it. */
export type Job = {
  command: string[];
  cwd: string;
  environment: Record<string, string>;
  /** Folders of the host in which the guest may write. */
  writable: string[];
  /** A folder of the host's below /tmp, /run or /dev, of which the guest has its own: this one it sees. */
  kept?: string;
  /** Whether the command has a standard input. */
  stdin: boolean;
  /** Where the kernel's own modules are, for modprobe. */
  modules?: string;
  /** A module to load before the command and to remove after it. */
  module?: { file: string; name: string; parameters: string[] };
};

/** The job as the guest reads it: its length in a line, then pairs of a key and a value, each ended by a NUL. */
export function encodeJob(job: Job): Buffer {
  const pairs: [string, string][] = [
    ...job.command.map((word): [string, string] => ['argument', word]),
    ...Object.entries(job.environment).map(([name, value]): [string, string] => [
      'environment',
      `${name}=${value}`,
    ]),
    ...job.writable.map((folder): [string, string] => ['writable', folder]),
    ['cwd', job.cwd],
  ];
  if (job.kept) pairs.push(['kept', job.kept]);
  if (job.stdin) pairs.push(['stdin', 'yes']);
  if (job.modules) pairs.push(['modules-folder', job.modules]);
  if (job.module) {
    pairs.push(['module', job.module.file], ['module-name', job.module.name]);
    pairs.push(['module-parameters', job.module.parameters.join(' ')]);
  }
  const body = Buffer.from(pairs.map(([key, value]) => `${key}\0${value}\0`).join(''));
  return Buffer.concat([Buffer.from(`${body.length}\n`), body]);
}
