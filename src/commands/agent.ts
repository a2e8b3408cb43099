import type { Command } from 'commander';
import { runAgent } from '../../loadgen/agents/agent.js';
import { agentOptions } from '../../loadgen/agents/options.js';
import type { Given } from '../../loadgen/result.js';

/** `megapipe agent`: one of several machines that load together. */
export function addAgentCommand(program: Command) {
  program
    .command('agent')
    .description('wait for parts of a load, and carry them out: megapipe load … --agents N')
    .requiredOption('--nats <url>', 'NATS server where agents and conductor meet, like nats://HOST:4222')
    .option(
      '--name <name>',
      "what it is called in results (default: the host's name and the process's number)",
    )
    .option('--session <name>', 'keeps apart those who share a NATS server', 'default')
    .option(
      '--allow <target>',
      'what it may load beside loopback: CIDR, CIDR:PORT or unix:PATH; may be given again',
      (value: string, before: string[] = []) => [...before, value],
    )
    .option('--max-rate <n>', 'requests a second at most; then it takes no load without --rate')
    .option('--user <name>', 'what root becomes: root keeps its rights (default: nobody)')
    .option('--insecure', 'wait at a NATS server beyond loopback that has neither password nor TLS')
    .action(async (given: Given) => {
      const stop = new AbortController();
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());
      await runAgent(agentOptions(given), stop.signal);
    });
}
