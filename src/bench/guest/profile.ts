import { execa } from 'execa';
import { loadPort, serverBinary } from '../../port/port.js';
import type { Variant } from '../../results/schema.js';
import { echoCommand } from '../application/echo/programs.js';
import type { Blocks } from './counts.js';
import type { GuestOrder, GuestPlan } from './plan.js';

/** Instructions of functions, outside the client's process, of one sample. */
type Profile = { order: GuestOrder; functions: Map<string, number> };

/** A table of functions by their addresses, ascending. */
type Symbols = { addresses: bigint[]; names: string[] };

/** The functions in the output of nm, or in /proc/kallsyms, which has a module's name behind its functions. */
export function readSymbols(text: string): Symbols {
  const all = [...text.matchAll(/^([0-9a-f]+) [tTwWiV] (\S+)(?:\t(\S+))?$/gm)]
    .map(([, address = '0', name = '', module]) => ({
      address: BigInt(`0x${address}`),
      name: module ? `${name} ${module}` : name,
    }))
    .sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  return { addresses: all.map(({ address }) => address), names: all.map(({ name }) => name) };
}

/** The function that an address is in; undefined before the first. */
export function functionAt({ addresses, names }: Symbols, address: bigint): string | undefined {
  let [low, high] = [0, addresses.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((addresses[middle] as bigint) <= address) low = middle + 1;
    else high = middle;
  }
  return names[low - 1];
}

const isKernel = (address: bigint) => address >> 63n === 1n;

/** A server's functions, and the addresses that are its own. */
export type Server = { symbols: Symbols; from: bigint; to: bigint };

/** Sum up blocks by function. Programs whose symbols are not known are one function. */
export function profileOf(order: GuestOrder, blocks: Blocks, kernel: Symbols, server: Server): Profile {
  const nameOf = (address: bigint) => {
    if (isKernel(address)) return functionAt(kernel, address);
    const isServer = address >= server.from && address < server.to;
    return isServer ? `${functionAt(server.symbols, address - server.from)} (server)` : undefined;
  };
  const functions = new Map<string, number>();
  for (const [text, , others] of blocks) {
    if (others === 0) continue;
    const name = nameOf(BigInt(`0x${text}`)) ?? 'user mode';
    functions.set(name, (functions.get(name) ?? 0) + others);
  }
  return { order, functions };
}

/** Where the kernel puts programs that may be anywhere, if it is told to put them in no random place. */
const programBase = 0x555555554000n;
export const profileKernelOptions = ['norandmaps'];

/** More than any of the programs has of code. */
const programSize = 0x10000000n;

async function serverOf({ subject, version }: GuestPlan, variant: Variant): Promise<Server> {
  const binary =
    subject === 'echo'
      ? echoCommand(variant, { address: '127.0.0.1', port: 0, workers: 1 })[0]
      : serverBinary(loadPort(subject, version), variant.server);
  const { stdout } = await execa('nm', [binary as string]);
  // Our echo servers are where native/Makefile links them to.
  const from = subject === 'echo' ? 0n : programBase;
  return { symbols: readSymbols(stdout), from, to: from + 2n * programSize };
}

/** Takes what a run tells of where instructions are, and sums it up by function: of the first round. */
export function collectProfiles(plan: GuestPlan) {
  const samples: { order: GuestOrder; blocks: Blocks }[] = [];
  let kernel: Symbols = readSymbols('');
  return {
    sink: {
      onSymbols: (text: string) => {
        kernel = readSymbols(text);
      },
      onBlocks: (order: GuestOrder, blocks: Blocks) => {
        if (order.round === 0) samples.push({ order, blocks });
      },
    },
    all: () =>
      Promise.all(
        samples.map(async ({ order, blocks }) => {
          return profileOf(order, blocks, kernel, await serverOf(plan, order.variant));
        }),
      ),
  };
}

/** The functions that most instructions were executed in, a transaction. */
export function formatProfile({ order, functions }: Profile, transactions: number, count = 40): string {
  const rows = [...functions].sort(([, a], [, b]) => b - a).slice(0, count);
  const head = `${order.variant.id}, ${order.requestsPerConnection} transactions a connection: instructions a transaction, by function`;
  const lines = rows.map(([name, n]) => `${(n / transactions).toFixed(1).padStart(10)}  ${name}`);
  return [head, ...lines].join('\n');
}
