import type { Script, Step } from '../client.js';
import { content } from '../content.js';
import { binaryMark, binaryOf, closes } from './binary.js';
import { type Client, type ClientStep, type Command, keysOf } from './scenario.js';

/** A command, as it is sent. */
export function bytesOf(command: Command, own: string): Buffer {
  const key = 'key' in command ? `${own}${command.key}` : '';
  switch (command.kind) {
    case 'set':
      return withValue(`set ${key} 0 0 ${command.size}${command.noreply ? ' noreply' : ''}`, command.size);
    case 'meta set':
      return withValue(`ms ${key} ${command.size}`, command.size);
    case 'get':
      return Buffer.from(`get ${keysOf(command, own).join(' ')}\r\n`);
    case 'set and get':
      return Buffer.concat([
        withValue(`set ${key} 0 0 ${command.size}`, command.size),
        Buffer.from(`get ${Array<string>(command.count).fill(key).join(' ')}\r\n`),
      ]);
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

/** Whether it doesn't read all that comes at once. */
export const isSlow = ({ steps }: Client) =>
  steps.some((step) => step.do === 'stop reading' || step.do === 'read slowly');

type Mark = { asked: Buffer; answered: Buffer };

/** A command whose answer shows that all before it were answered; no value holds that. */
const textMark: Mark = { asked: Buffer.from('mn\r\n'), answered: Buffer.from('MN\r\n') };

/** Tells whether as many marks have come as were asked for, and whether they stand for all that was sent. */
function markCounter(mark: Mark) {
  let asked = 0;
  let isLast = true;
  let answered = 0;
  let at = 0;
  function haveAllCome(got: Buffer): boolean {
    while (answered < asked) {
      const found = got.indexOf(mark.answered, at);
      if (found < 0) {
        at = Math.max(at, got.length - mark.answered.length);
        return false;
      }
      at = found + mark.answered.length;
      answered += 1;
    }
    return true;
  }
  return {
    send: () => {
      isLast = false;
    },
    ask: () => {
      asked += 1;
      isLast = true;
    },
    haveAllCome,
    isAnswered: (got: Buffer) => isLast && haveAllCome(got),
  };
}

type Marks = ReturnType<typeof markCounter>;

/** All commands that go together, and the first of them that makes the server close the connection. */
function partsOf({ commands, times }: ClientStep & { do: 'commands' }, client: Client) {
  const all = Array<Command[]>(times).fill(commands).flat();
  if (client.way !== 'binary') return { before: all, last: undefined };
  if (isSlow(client)) return { before: all.filter((command) => !closes(command)), last: undefined };
  const place = all.findIndex(closes);
  return place < 0 ? { before: all, last: undefined } : { before: all.slice(0, place), last: all[place] };
}

function stepsOf(client: Client, own: string, mark: Mark, marks: Marks): Step[] {
  const encode = client.way === 'binary' ? binaryOf : bytesOf;
  const awaitAnswers: Step[] = [
    { do: 'send', data: mark.asked },
    { do: 'call', run: marks.ask },
    { do: 'await', isDone: marks.haveAllCome },
  ];
  /*
   * A server drops answers that it hasn't sent when it closes, and resets who has sent more than it has read: stock, too. So all
   * before was answered, and nothing comes behind.
   */
  const close = (command: Command): Step[] => [
    ...awaitAnswers,
    { do: 'send', data: encode(command, own) },
    { do: 'await', isDone: () => false },
  ];
  const step = (what: ClientStep): Step[] => {
    switch (what.do) {
      case 'commands': {
        const { before, last } = partsOf(what, client);
        return [
          { do: 'send', data: Buffer.concat(before.map((command) => encode(command, own))) },
          { do: 'call', run: marks.send },
          ...(last ? close(last) : []),
        ];
      }
      case 'begin command': {
        const bytes = encode(what.command, own);
        return [
          { do: 'send', data: bytes.subarray(0, Math.floor(bytes.length * what.portion)) },
          { do: 'call', run: marks.send },
        ];
      }
      case 'await answers':
        return awaitAnswers;
      case 'await bytes':
        return [{ do: 'await', isDone: (got) => got.length >= what.count }];
      default:
        return [what];
    }
  };
  // The first byte of all decides the protocol.
  const hello: Step[] = client.way === 'binary' ? [{ do: 'send', data: binaryOf(hail, own) }] : [];
  return [...hello, ...client.steps.flatMap(step)];
}

const hail: Command = { kind: 'line', line: 'version' };

/** What a client does, in bytes; its keys begin with a text of its own. */
export function scriptOf(
  client: Client,
  { to, tls }: Pick<Script, 'to' | 'tls'>,
  own: string,
): Script & { isAnswered(got: Buffer): boolean } {
  const mark = client.way === 'binary' ? binaryMark : textMark;
  const marks = markCounter(mark);
  return {
    to,
    ...(tls && { tls }),
    steps: stepsOf(client, own, mark, marks),
    lingerMs: client.lingerMs,
    isAnswered: marks.isAnswered,
  };
}
