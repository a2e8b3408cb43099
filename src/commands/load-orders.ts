import { createInterface } from 'node:readline';
import { type Command, CommanderError } from 'commander';
import { z } from 'zod';
import { UserError } from '../base/errors.js';

const order = z.array(z.string()).min(1);

/**
 * `megapipe load orders`: for a program that has many loads to do, since starting takes longer than most of them.
 *
 * @param carryOut what `megapipe load` does with these words
 */
export function addOrdersCommand(load: Command, carryOut: (words: string[]) => Promise<void>) {
  load
    .command('orders')
    .description(
      'carry out loads one after another: each a line of JSON on stdin, like ["echo","--server","127.0.0.1:7"]; ' +
        'after each, stderr has a line {"event":"finished","error":null}, or why it failed',
    )
    .action(async () => {
      for await (const line of createInterface({ input: process.stdin })) {
        const error = await whyNot(line, carryOut);
        process.stderr.write(`${JSON.stringify({ event: 'finished', error: error ?? null })}\n`);
      }
    });
}

/** Why a load could not be carried out, or undefined. */
async function whyNot(
  line: string,
  carryOut: (words: string[]) => Promise<void>,
): Promise<string | undefined> {
  try {
    const words = order.parse(JSON.parse(line));
    if (words[0] === 'orders') throw new UserError('an order is a load, not more orders');
    await carryOut(words);
    return undefined;
  } catch (error) {
    if (error instanceof UserError) return [error.message, error.hint].filter(Boolean).join('; ');
    if (error instanceof CommanderError || error instanceof z.ZodError || error instanceof SyntaxError)
      return `${JSON.stringify(line)} is no load: ${error.message}`;
    throw error;
  }
}
