import { type Command, InvalidArgumentError, Option } from 'commander';
import { loadMemcached } from '../../loadgen/load.js';

/** Options of every load generator. */
function addCommonOptions(command: Command): Command {
  return command
    .requiredOption('--server <address>', 'HOST:PORT, [IPV6]:PORT or unix:PATH')
    .option('--threads <n>', 'threads, each pinned to a CPU (default: one a CPU)')
    .option('--cpus <list>', "thread i runs on the list's i-th CPU (default: this process's CPUs)")
    .option('--concurrency <n>', 'connections, all threads together', '256')
    .option('--requests-per-connection <n>', 'number, or unlimited', 'unlimited')
    .option('--close <how>', 'rst or fin; with fin local ports stay taken for a while', 'rst')
    .option('--duration <s>', 'measure for so many seconds (default: 10)')
    .option('--requests <n>', 'measure until so many requests are answered, instead')
    .option('--warmup <s>', 'load before measuring (default: 1, with --requests 0)')
    .option('--pipeline <n>', 'requests in flight on a connection', '1')
    .option('--rate <n>', 'open loop: send so many requests a second, all threads together')
    .option('--arrival <how>', 'open loop: constant or poisson times between requests', 'constant')
    .option('--engine <name>', 'auto, kernel, uring or epoll', 'auto')
    .option('--batch <n>', 'requests pushed to the kernel together; 1: no batching', '32')
    .option('--timeout <s>', 'give a connection up when nothing moves for so long', '5')
    .option('--seed <n>', 'of everything random', '1')
    .option('--no-verify', "don't compare what comes back")
    .option('--json', 'print the result as one JSON object')
    .addOption(
      new Option('--events', 'write {"event":"measuring"} and {"event":"measured"} lines to stderr'),
    );
}

/** `megapipe load memcached`. */
export function addLoadCommand(program: Command) {
  const load = program
    .command('load')
    .description('load a server that runs, and measure')
    .action((_options, command: Command) => {
      throw new InvalidArgumentError(`load what? ${command.commands.map((c) => c.name()).join(', ')}`);
    });
  addCommonOptions(load.command('memcached').description('load a memcached server'))
    .option('--get-set <ratio>', 'gets to sets', '9:1')
    .option('--key-size <sizes>', 'fixed:N, uniform:A-B, normal:MU,SIGMA, fb-etc, fb-usr', 'fixed:64')
    .option('--value-size <sizes>', 'as --key-size; each key keeps its size', 'fixed:1024')
    .option('--keys <n>', 'number of keys', '10000')
    .option('--popularity <of keys>', 'uniform or zipf:ALPHA', 'uniform')
    .option('--multiget <n>', 'keys a get', '1')
    .option('--protocol <name>', 'ascii or binary', 'ascii')
    .option('--prefill', 'set all keys first', true)
    .option('--no-prefill', "don't")
    .action(loadMemcached);
}
