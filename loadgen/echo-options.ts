import { z } from 'zod';
import {
  type Address,
  type CommonOptions,
  checkOptions,
  commonOptions,
  type Decided,
  decide,
  integer,
  parseServer,
  perConnection,
} from './options.js';

/** The largest message. */
const largestMessage = 1 << 20;

const echo = z.object({
  ...commonOptions,
  server: z.string(),
  requestsPerConnection: perConnection,
  size: integer(1, largestMessage),
});

/** What it understands. */
export const echoOptionNames = Object.keys(echo.shape);

export type EchoOptions = CommonOptions & Omit<z.output<typeof echo>, keyof Decided> & { address: Address };

/** Check the command line's options, and decide what was left open. Throws a UserError that names what is wrong. */
export async function echoOptions(given: unknown): Promise<EchoOptions> {
  const checked = checkOptions(echo, given, 'echo');
  const decided = decide(checked, 'echo');
  return { ...checked, ...decided, address: await parseServer(checked.server, 'echo') };
}
