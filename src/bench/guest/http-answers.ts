import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { ScriptRequest } from './script.js';

/** The request for a file, on a connection that is kept. */
function httpRequest(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
}

/** Ask a server for files, and tell how many bytes each answer has: the client counts bytes and no more. */
export async function measureAnswers(port: number, paths: string[]): Promise<ScriptRequest[]> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const requests: ScriptRequest[] = [];
  for (const path of paths) {
    const bytes = httpRequest(path);
    socket.write(bytes);
    requests.push({ bytes, answer: await answerLength(socket, path) });
  }
  socket.destroy();
  return requests;
}

/** Of the next answer, which has been received whole when this returns. */
async function answerLength(socket: Socket, path: string): Promise<number> {
  const chunks: Buffer[] = [];
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    chunks.push(chunk);
    const text = Buffer.concat(chunks).toString('latin1');
    const length = wholeLength(text, path);
    if (length !== undefined && text.length >= length) return length;
  }
}

function wholeLength(text: string, path: string): number | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const body = /^content-length: (\d+)\r$/im.exec(text.slice(0, headEnd + 1))?.[1];
  if (!text.startsWith('HTTP/1.1 200 ') || body === undefined) {
    throw new Error(`the server’s answer to ${path} is not a file: ${text.slice(0, text.indexOf('\r\n'))}`);
  }
  return headEnd + 4 + Number(body);
}
