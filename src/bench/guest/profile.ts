import { execa } from 'execa';
import type { Variant } from '../../results.js';
import type { Blocks } from './counts.js';
import type { GuestOrder, SubjectName } from './plan.js';
import { echoCommand } from './programs.js';

/** Instructions of functions, outside the client's process, of one sample. */
export type Profile = { order: GuestOrder; functions: Map<string, number> };

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

/** Where servers that are built here begin, and where the heap behind them does: see native/Makefile. */
const isOurServer = (address: bigint) => address >= 0x10000000n && address < 0x20000000n;

/** Sum up blocks by function. Programs whose symbols are not known are one function. */
export function profileOf(
  order: GuestOrder,
  blocks: Blocks,
  kernel: Symbols,
  server: Symbols | undefined,
): Profile {
  const functions = new Map<string, number>();
  for (const [text, , others] of blocks) {
    if (others === 0) continue;
    const address = BigInt(`0x${text}`);
    const known = isKernel(address) ? kernel : isOurServer(address) ? server : undefined;
    const name = (known && functionAt(known, address)) ?? 'user mode';
    const full = known === server && known ? `${name} (server)` : name;
    functions.set(full, (functions.get(full) ?? 0) + others);
  }
  return { order, functions };
}

/** The symbols of a variant's echo server. */
async function serverSymbols(variant: Variant): Promise<Symbols> {
  const { stdout } = await execa('nm', [echoCommand(variant, 0)[0] as string]);
  return readSymbols(stdout);
}

/** Takes what a run tells of where instructions are, and sums it up by function: of the first round. */
export function collectProfiles(subject: SubjectName) {
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
          const server = subject === 'echo' ? await serverSymbols(order.variant) : undefined;
          return profileOf(order, blocks, kernel, server);
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
