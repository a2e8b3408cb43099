import type { Content } from '../given-content.js';
import type { Order, Piece } from './protocol.js';

type Name = keyof Content;

const names: readonly Name[] = ['body', 'trace'];

/** What of a content there is, in the order in which it is sent. */
const partsOf = (content: Content) =>
  names.flatMap((name) => (content[name] ? [[name, content[name]] as const] : []));

/** What an order says of its content. */
export function sizesOf(content: Content): Order['content'] {
  return Object.fromEntries(partsOf(content).map(([name, bytes]) => [name, bytes.length]));
}

/** Bytes of a message beside a piece's own. */
const overhead = 512;

/** A content in pieces that fit into messages of this size. */
export function* piecesOf(run: string, content: Content, mostBytes: number): Generator<Piece> {
  const length = Math.max(3, Math.floor((mostBytes - overhead) / 4) * 3);
  for (const [of, bytes] of partsOf(content)) {
    for (let at = 0; at < bytes.length; at += length) {
      const base64 = Buffer.from(bytes.subarray(at, at + length)).toString('base64');
      yield { run, of, at, base64 };
    }
  }
}

/** An order's content while it comes. */
export type Arriving = {
  /** Take the next piece; why it isn't taken, or null. */
  take(piece: Piece): string | null;
  whole: Promise<Content>;
};

/** Pieces come one after another, each where the last one ended, and no more than was announced. */
export function arriving(sizes: Order['content']): Arriving {
  const expected = names.flatMap((name) => {
    const size = sizes[name];
    return size === undefined ? [] : [{ name, size, chunks: [] as Buffer[], got: 0 }];
  });
  const next = () => expected.find(({ got, size }) => got < size);
  let complete: (content: Content) => void = () => {};
  const whole = new Promise<Content>((resolve) => {
    complete = resolve;
  });
  const completeIfWhole = () => {
    if (next()) return;
    complete(Object.fromEntries(expected.map(({ name, chunks }) => [name, Buffer.concat(chunks)])));
  };
  completeIfWhole();
  return {
    whole,
    take({ of, at, base64 }) {
      const one = next();
      const bytes = Buffer.from(base64, 'base64');
      if (one?.name !== of || one.got !== at || bytes.length === 0 || at + bytes.length > one.size)
        return 'a piece of its content is not the one that comes next';
      one.chunks.push(bytes);
      one.got += bytes.length;
      completeIfWhole();
      return null;
    },
  };
}
