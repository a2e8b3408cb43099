import { expect, test } from 'vitest';
import { freePort } from '../../src/host/free-port.js';
import { ask } from './client.js';
import { describeEngines, type Kind, stock } from './kinds.js';
import { start } from './server.js';

/** What can't be connected to, or not from where it is tried. */
async function startServer(kind: Kind) {
  const refusing = await freePort();
  const upstreams = [
    `proxy_pass http://127.0.0.1:${refusing};`,
    'proxy_pass http://unix:/nowhere.sock;',
    'proxy_bind 127.0.0.1; proxy_pass http://192.0.2.1:80;', // EINVAL
    'proxy_pass http://255.255.255.255:80;', // ENETUNREACH
  ];
  const locations = upstreams.map((upstream, i) => `location /${i} { ${upstream} }`);
  const nginx = await start(kind, {
    server: `${locations.join('\n')}`,
    expected: [/connect\(\)/],
  });
  return { nginx, paths: upstreams.map((_, i) => `/${i}`), refusing };
}

/** The status of each request, and what the error log says of its connect(). */
async function outcomes(kind: Kind) {
  const { nginx, paths, refusing } = await startServer(kind);
  const found = [];
  for (const path of paths) {
    const before = nginx.errorLog().length;
    const { status } = await ask(`${nginx.url}${path}`);
    const line = /\[(\w+)\] [^*]*\*\d+ (.*?), client/.exec(nginx.errorLog().slice(before));
    found.push(`${status} ${line?.[1]} ${line?.[2]?.replace(String(refusing), 'PORT')}`);
  }
  return found;
}

describeEngines((kind) => {
  test('errors of connect() are answered and logged as by stock nginx', async () => {
    expect(await outcomes(kind)).toEqual(await outcomes(stock));
  });
});
