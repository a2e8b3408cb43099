import type { NetConnectOpts } from 'node:net';
import type { Script, Step } from '../client.js';
import { content } from '../content.js';
import type { Client, ClientStep, Command } from './scenario.js';

/** A command, as it is sent. */
export function bytesOf(command: Command, own: string): Buffer {
  const key = 'key' in command ? `${own}${command.key}` : '';
  switch (command.kind) {
    case 'set':
      return withValue(`set ${key} 0 0 ${command.size}${command.noreply ? ' noreply' : ''}`, command.size);
    case 'meta set':
      return withValue(`ms ${key} ${command.size}`, command.size);
    case 'get': {
      const keys = Array.from({ length: command.count }, (_, index) => `${own}${command.first + index}`);
      return Buffer.from(`get ${keys.join(' ')}\r\n`);
    }
    case 'meta get':
      return Buffer.from(`mg ${key} ${command.flags}\r\n`);
    case 'delete':
      return Buffer.from(`delete ${key}\r\n`);
    case 'incr':
      return Buffer.from(`incr ${key} 1\r\n`);
    case 'touch':
      return Buffer.from(`touch ${key} 0\r\n`);
    case 'line':
      return Buffer.from(`${command.line.replace('longkey', 'k'.repeat(251))}\r\n`);
  }
}

function withValue(line: string, size: number): Buffer {
  return Buffer.concat([Buffer.from(`${line}\r\n`), content(size), Buffer.from('\r\n')]);
}

/** A command whose answer shows that all before it were answered; no value holds that. */
const mark = { asked: 'mn\r\n', answered: 'MN\r\n' };

/** Tells whether as many marks have come as were asked for. */
function markCounter() {
  let asked = 0;
  let answered = 0;
  let at = 0;
  return {
    ask: () => {
      asked += 1;
    },
    haveAllCome(got: Buffer): boolean {
      while (answered < asked) {
        const found = got.indexOf(mark.answered, at, 'latin1');
        if (found < 0) {
          at = Math.max(at, got.length - mark.answered.length);
          return false;
        }
        at = found + mark.answered.length;
        answered += 1;
      }
      return true;
    },
  };
}

function stepsOf(client: Client, own: string): Step[] {
  const marks = markCounter();
  const step = (what: ClientStep): Step[] => {
    switch (what.do) {
      case 'commands': {
        const once = Buffer.concat(what.commands.map((command) => bytesOf(command, own)));
        return [{ do: 'send', data: Buffer.concat(Array<Buffer>(what.times).fill(once)) }];
      }
      case 'begin command': {
        const bytes = bytesOf(what.command, own);
        return [{ do: 'send', data: bytes.subarray(0, Math.floor(bytes.length * what.portion)) }];
      }
      case 'await answers':
        return [
          { do: 'send', data: Buffer.from(mark.asked) },
          { do: 'call', run: marks.ask },
          { do: 'await', isDone: marks.haveAllCome },
        ];
      case 'await bytes':
        return [{ do: 'await', isDone: (got) => got.length >= what.count }];
      default:
        return [what];
    }
  };
  return client.steps.flatMap(step);
}

/** What a client does, in bytes; its keys begin with a text of its own. */
export function scriptOf(client: Client, to: NetConnectOpts, own: string): Script {
  return { to, steps: stepsOf(client, own), lingerMs: client.lingerMs };
}
