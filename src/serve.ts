import { execa } from 'execa';
import type { Application, ServerPlace } from './bench/application.js';
import { UserError } from './errors.js';
import type { Variant } from './results.js';
import { pinned } from './topology.js';

/** Run a server until it ends or we are told to end; its output is ours, and so is its exit status. */
export async function serveInForeground(
  application: Application,
  variant: Variant,
  place: ServerPlace,
  cpus: number[],
): Promise<void> {
  const command = application.serverCommand(variant, place);
  console.error(`megapipe: ${variant.id} on ${place.address}:${place.port}: ${command.join(' ')}`);
  const [file, ...args] = pinned(cpus, command) as [string, ...string[]];
  const server = execa(file, args, { stdio: 'inherit', reject: false });
  const told = passSignals((name) => server.kill(name));
  const { exitCode, signal, shortMessage } = await server;
  if (told()) return;
  if (signal) throw new UserError(`the server was killed by ${signal}`);
  if (exitCode !== 0) {
    throw new UserError(`the server ended with status ${exitCode ?? shortMessage}`, {
      hint: 'its own words are above',
    });
  }
}

/** @returns whether any signal was passed on */
function passSignals(pass: (name: NodeJS.Signals) => void): () => boolean {
  let told = false;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      told = true;
      pass(name);
    });
  }
  return () => told;
}
