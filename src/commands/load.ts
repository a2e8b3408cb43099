import { Command, InvalidArgumentError, Option } from 'commander';
import { conduct } from '../../loadgen/agents/conductor.js';
import { isConducted } from '../../loadgen/agents/options.js';
import { echoProtocol } from '../../loadgen/echo-load.js';
import { httpProtocol } from '../../loadgen/http-load.js';
import { printLoad } from '../../loadgen/load.js';
import { memcachedProtocol } from '../../loadgen/memcached-load.js';
import type { Protocol } from '../../loadgen/protocol.js';
import type { CommonResult, Counted, Given } from '../../loadgen/result.js';
import { workloadNames } from '../../loadgen/workloads.js';
import { portProtocol } from '../bench/application/port/port.js';
import { addOrdersCommand } from './load-orders.js';

/** Options of every load generator. */
function addCommonOptions(command: Command): Command {
  return command
    .option('--threads <n>', 'threads, each pinned to a CPU (default: one a CPU)')
    .option('--cpus <list>', "thread i runs on the list's i-th CPU (default: this process's CPUs)")
    .option('--concurrency <n>', 'connections, all threads together', '256')
    .option('--close <how>', 'rst or fin; with fin local ports stay taken for a while', 'rst')
    .option('--duration <s>', 'measure for so many seconds (default: 10)')
    .option('--requests <n>', 'measure until so many requests are answered, instead')
    .option('--warmup <s>', 'load before measuring (default: 1, with --requests 0)')
    .option('--pipeline <n>', 'requests in flight on a connection', '1')
    .option(
      '--rate <rate>',
      'open loop: requests a second, all threads together; or steps and ramps, like 1000:10s,2000:10s or 0..50000:1m',
    )
    .option('--arrival <how>', 'open loop: constant or poisson times between requests', 'constant')
    .option('--engine <name>', 'auto, kernel, uring or epoll', 'auto')
    .option('--batch <n>', 'requests pushed to the kernel together; 1: no batching', '32')
    .option('--timeout <s>', 'give a connection up when nothing moves for so long', '5')
    .option('--seed <n>', 'of everything random', '1')
    .option('--no-verify', "don't compare what comes back")
    .option('--json', 'print the result as one JSON object')
    .option('--hgrm <file>', 'write the distribution of latencies, as HdrHistogram prints and plots it')
    .option('--csv <file>', 'write the series, a line an interval')
    .addOption(new Option('--events', 'write {"event":"measuring"} and {"event":"measured"} lines to stderr'))
    .option('--agents <n>', 'have so many agents load, which share concurrency, rate and requests; or all')
    .option('--nats <url>', 'NATS server where they wait, like nats://HOST:4222; see megapipe agent')
    .option('--session <name>', 'only agents of this session')
    .option('--insecure', 'meet them at a NATS server beyond loopback that has neither password nor TLS')
    .option('--agents-within <s>', 'how long to look for agents (default: 5)')
    .option('--silence <s>', 'give an agent up that is not heard for so long (default: 15)')
    .option('--clock-bound <ms>', "how uncertain an agent's clock may be (default: 50)");
}

/** Load by ourselves, or have agents do it. */
async function run<Result extends CommonResult & Counted>(
  protocol: Protocol<Result>,
  given: Given,
): Promise<void> {
  if (isConducted(given, protocol.name)) await conduct(protocol, given);
  else await printLoad(await protocol.load(given, protocol.content(given)));
}

function addMemcached(load: Command) {
  const command = load
    .command('memcached')
    .description('load a memcached server')
    .requiredOption('--server <address>', 'HOST:PORT, [IPV6]:PORT or unix:PATH')
    .option('--requests-per-connection <n>', 'number, or unlimited', 'unlimited');
  addCommonOptions(command)
    .option('--get-set <ratio>', 'gets to sets', '9:1')
    .option('--key-size <sizes>', 'fixed:N, uniform:A-B, normal:MU,SIGMA, fb-etc, fb-usr', 'fixed:64')
    .option('--value-size <sizes>', 'as --key-size; each key keeps its size', 'fixed:1024')
    .option('--keys <n>', 'number of keys', '10000')
    .option('--popularity <of keys>', 'uniform or zipf:ALPHA', 'uniform')
    .option('--multiget <n>', 'keys a get', '1')
    .option('--protocol <name>', 'ascii or binary', 'ascii')
    .option('--prefill', 'set all keys first', true)
    .option('--no-prefill', "don't")
    .action((options: Given) => run(memcachedProtocol, options));
}

function addEcho(load: Command) {
  const command = load
    .command('echo')
    .description('load a server that says again what it is told')
    .requiredOption('--server <address>', 'HOST:PORT, [IPV6]:PORT or unix:PATH')
    .option('--size <bytes>', 'of each message', '64')
    .option('--requests-per-connection <n>', 'messages, a number, or unlimited', '10');
  addCommonOptions(command).action((options: Given) => run(echoProtocol, options));
}

const another = (value: string, before: string[]) => [...before, value];

function addHttp(load: Command) {
  const command = load
    .command('http')
    .description('load an HTTP/1.1 server')
    .argument('<URL...>', 'what to ask for, one after the other; all of one server')
    .option('--unix <path>', 'connect to this UNIX socket; the URL still says host and path')
    .option(
      '--requests-per-connection <n>',
      'number, unlimited, uniform:A-B, zipf:S,MAX, zipf:Q,S,MAX, histogram:N=WEIGHT,… or a workload’s (default: unlimited)',
    )
    .option('--announce-close', 'the last request of a connection says Connection: close');
  addCommonOptions(command)
    .option('--method <name>', 'method (default: GET, with a body POST)')
    .option('--header <line>', 'a header like "Accept: text/html"; may be given again', another, [])
    .option('--body <text>', 'body of the requests')
    .option('--body-file <path>', 'the same from a file')
    .option('--weights <list>', 'of the URLs, which are then mixed, like 3,1')
    .option('--workload <name>', `${workloadNames.join(', ')}: its files below the URL; see megapipe files`)
    .option('--trace <path>', 'replay this file; see loadgen/README.md')
    .option(
      '--expect-status <n>',
      'another status is a verification error (default: from 400 on a server error)',
    )
    .option('--expect-length <bytes>', 'another length of a body is a verification error')
    .option('--expect-crc32 <hex>', 'another CRC-32 of a body is a verification error')
    .action((urls: string[], options: Given) => run(httpProtocol, { ...options, urls }));
}

/** The words that mean the generator for a port's protocol, at the server that `megapipe serve` runs where none is named. */
function wordsForPort(folder: string, words: string[]): string[] {
  const { name, defaultPort } = portProtocol(folder);
  const place = `127.0.0.1:${defaultPort}`;
  if (name === 'http') {
    const hasUrl = words.some((word) => /^https?:\/\//.test(word));
    return [name, ...(hasUrl ? [] : [`http://${place}/`]), ...words];
  }
  const hasServer = words.some((word) => word === '--server' || word.startsWith('--server='));
  return [name, ...(hasServer ? [] : ['--server', place]), ...words];
}

/** `megapipe load memcached`, `megapipe load http` and `megapipe load echo`; or `load ./folder`, which is one of them. */
export function addLoadCommand(program: Command) {
  const load = program
    .command('load')
    .description('load a server that runs, and measure')
    .argument(
      '[folder...]',
      'or a port of yours (./…): the server that megapipe serve runs, with its protocol’s options',
    )
    .allowUnknownOption()
    .action(async ([folder, ...words]: string[], _options, command: Command) => {
      if (folder?.includes('/')) {
        await command.parseAsync(wordsForPort(folder, words), { from: 'user' });
        return;
      }
      const protocols = command.commands
        .flatMap((one) => (one.name() === 'orders' ? [] : [one.name()]))
        .join(', ');
      throw new InvalidArgumentError(
        folder === undefined
          ? `load what? ${protocols}`
          : `there is no load of "${folder}": there is ${protocols}, or the folder of a port of yours`,
      );
    });
  addMemcached(load);
  addHttp(load);
  addEcho(load);
  addOrdersCommand(load, carryOut);
}

/** What the words after `megapipe load` ask for; a command of its own, which knows no earlier words. */
async function carryOut(words: string[]): Promise<void> {
  const program = new Command().exitOverride().configureOutput({ outputError: () => {} });
  addLoadCommand(program);
  await program.parseAsync(['load', ...words], { from: 'user' });
}
