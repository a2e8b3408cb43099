import { createHash } from 'node:crypto';
import { type IncomingHttpHeaders, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { bodyOf } from './upstream.js';

/** A whole response. */
export type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer; text: string };

export type Ask = RequestOptions & { body?: string | Buffer | Readable };

/** Send a request, and read no more than the head of the response. */
export function open(url: string, { body, ...options }: Ask = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent: false, ...options }, resolve);
    outgoing.on('error', reject);
    if (body instanceof Readable) pipeline(body, outgoing).catch(reject);
    else outgoing.end(body);
  });
}

/** Ask by node's HTTP client, on a connection of its own unless an agent is given. */
export async function ask(url: string, options: Ask = {}): Promise<Answer> {
  const response = await open(url, options);
  const body = await bodyOf(response);
  const { statusCode: status = 0, headers } = response;
  return { status, headers, body, text: body.toString('latin1') };
}

const blockSize = 1 << 16;

/** A block of a long text, different from all others. */
function block(index: number): Buffer {
  const bytes = Buffer.alloc(blockSize, `${index} `);
  bytes.writeUInt32BE(index);
  return bytes;
}

/** So many bytes in which nothing can be lost or swapped unseen. */
export async function* longText(length: number): AsyncGenerator<Buffer> {
  for (let index = 0; index * blockSize < length; index += 1)
    yield block(index).subarray(0, Math.min(blockSize, length - index * blockSize));
}

/** The length and the checksum of what a stream gives. */
export async function digest(data: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha1');
  let length = 0;
  for await (const chunk of data) {
    hash.update(chunk);
    length += chunk.length;
  }
  return `${length} bytes, ${hash.digest('hex')}`;
}
