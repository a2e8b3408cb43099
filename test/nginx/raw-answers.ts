import type { Connection } from '../memcached/connection.js';

/** A response, read from a connection that others may follow on. */
export type RawAnswer = { status: number; head: string; body: Buffer };

/** Read one response whose length is told; one to HEAD has no body. */
export async function readAnswer(connection: Connection, hasBody = true): Promise<RawAnswer> {
  const head = await connection.until('\r\n\r\n');
  const status = Number(/^HTTP\/1\.[01] (\d{3}) /.exec(head)?.[1]);
  const length = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? 0);
  return { status, head, body: hasBody ? await connection.bytes(length) : Buffer.alloc(0) };
}

/** A request as text. */
export const get = (path: string, headers = '') =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
