import { writeFileSync } from 'node:fs';

/** A request of the client's, and how many bytes its answer has. */
export type ScriptRequest = { bytes: string; answer: number };

/** Write requests as the client reads them: a line with both lengths, and the bytes. */
export function writeScript(file: string, requests: ScriptRequest[]): void {
  writeFileSync(
    file,
    requests.map(({ bytes, answer }) => `${Buffer.byteLength(bytes)} ${answer}\n${bytes}`).join(''),
  );
}

/** What memcached is asked: keys and values as memaslap's by default, nine gets to a set. */
export const memcachedParameters = { keys: 1000, keyBytes: 64, valueBytes: 1024, getsToSets: '9:1' };

const value = 'v'.repeat(memcachedParameters.valueBytes);

function keyNumber(index: number): string {
  return String(index).padStart(memcachedParameters.keyBytes, 'k');
}

function set(index: number): ScriptRequest {
  return {
    bytes: `set ${keyNumber(index)} 0 0 ${value.length}\r\n${value}\r\n`,
    answer: 'STORED\r\n'.length,
  };
}

function get(index: number): ScriptRequest {
  const key = keyNumber(index);
  const answer = `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n`.length;
  return { bytes: `get ${key}\r\n`, answer };
}

/** Every key is set once. */
export function memcachedPrefill(): ScriptRequest[] {
  return Array.from({ length: memcachedParameters.keys }, (_, index) => set(index));
}

/** Every tenth request is a set. Connections take requests in turn, so each gets of both. */
export function memcachedRequests(): ScriptRequest[] {
  return Array.from({ length: memcachedParameters.keys }, (_, index) =>
    index % 10 === 0 ? set(index) : get(index),
  );
}
