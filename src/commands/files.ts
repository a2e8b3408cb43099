import { Argument, type Command } from 'commander';
import { createFileSet } from '../../loadgen/file-set.js';
import { type WorkloadName, workload, workloadNames } from '../../loadgen/workloads.js';

/** `megapipe files <workload> <folder>`: what a server is to serve for `megapipe load http --workload`. */
export function addFilesCommand(program: Command) {
  program
    .command('files')
    .description('write the files of an HTTP workload, always the same')
    .addArgument(new Argument('<workload>', 'whose files').choices(workloadNames))
    .argument('<folder>', 'below which they are written, best in memory, as /dev/shm/web; the server’s root')
    .action(async (name: WorkloadName, folder: string) => {
      const { files, bytes, written, folder: where } = await createFileSet(workload(name), folder);
      const size = `${files} files, ${(bytes / 2 ** 20).toFixed(1)} MiB`;
      console.log(written ? `${size} written to ${where}` : `${size} are in ${where}`);
    });
}
