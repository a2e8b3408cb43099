import { expect, test } from 'vitest';
import { ask } from './client.js';
import { type NameServer, type Names, startNameServer } from './dns.js';
import { describeKinds } from './kinds.js';
import { type Options, start } from './server.js';
import { httpUpstream, type Upstream } from './upstream.js';

const addresses = ['127.0.0.1'];

/** The first part of the path is the name to resolve. */
const byName = (names: NameServer, upstream: Upstream, timeout = '30s'): Options => ({
  server: `resolver 127.0.0.1:${names.port} ipv6=off; resolver_timeout ${timeout};
    location ~ ^/(?<name>[^/]+) { proxy_pass http://$name:${upstream.port}; }`,
});

const hello = () => httpUpstream((_request, response) => void response.end('hello'));

describeKinds((kind) => {
  test('names are resolved over UDP, many at once', async () => {
    const known = Array.from({ length: 100 }, (_, i) => `host${i}.test`);
    const names = await startNameServer(Object.fromEntries(known.map((name) => [name, { addresses }])));
    const nginx = await start(kind, byName(names, await hello()));
    const answers = await Promise.all(known.map((name) => ask(`${nginx.url}/${name}`)));
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, text: 'hello' });
    expect(new Set(names.udpQueries)).toEqual(new Set(known));
    expect(names.tcpQueries).toEqual([]);
  });

  test('with IPv6 both kinds of address are asked for', async () => {
    const names = await startNameServer({ 'both.test': { addresses } });
    const upstream = await hello();
    const nginx = await start(kind, {
      server: `resolver 127.0.0.1:${names.port}; set $name both.test;
        location / { proxy_pass http://$name:${upstream.port}; }`,
    });
    expect(await ask(nginx.url)).toMatchObject({ status: 200 });
    expect(names.udpQueries.length).toBeGreaterThanOrEqual(2);
  });

  test('an answer that does not fit is asked for over TCP', async () => {
    const long = { addresses: Array.from({ length: 200 }, () => '127.0.0.1'), truncated: true };
    const names = await startNameServer({ 'long.test': long, 'longer.test': long });
    const nginx = await start(kind, byName(names, await hello()));
    for (const name of ['long.test', 'longer.test'])
      expect(await ask(`${nginx.url}/${name}`)).toMatchObject({ status: 200, text: 'hello' });
    expect(names.tcpQueries).toEqual(['long.test', 'longer.test']);
    // A graceful stop would wait for the connection to the name server to time out.
    nginx.signal('SIGTERM');
  });

  test('a name that is not known, and a name server that does not answer', async () => {
    const names = await startNameServer({ 'silent.test': { addresses, silent: true } });
    const nginx = await start(kind, byName(names, await hello(), '1s'));
    expect(await ask(`${nginx.url}/unknown.test`)).toMatchObject({ status: 502 });
    expect(nginx.errorLog()).toMatch(/unknown\.test could not be resolved \(3: Host not found\)/);
    expect(await ask(`${nginx.url}/silent.test`)).toMatchObject({ status: 502 });
    expect(nginx.errorLog()).toMatch(/silent\.test could not be resolved \(110: Operation timed out\)/);
  });

  if (kind.sanitize) return; // half a dozen seconds, that nginx waits before it asks again
  test('a lost query is sent again, and names run out', async () => {
    const known: Names = { 'late.test': { addresses, silent: true } };
    const names = await startNameServer(known);
    const nginx = await start(kind, byName(names, await hello()));
    const answer = ask(`${nginx.url}/late.test`);
    while (names.udpQueries.length < 1) await new Promise((resolve) => setTimeout(resolve, 10));
    known['late.test'] = { addresses };
    expect(await answer).toMatchObject({ status: 200 });
    const queries = names.udpQueries.length;
    expect(queries).toBeGreaterThanOrEqual(2);
    // Its record is good for a second: by and by it is asked for again.
    while (names.udpQueries.length === queries)
      expect(await ask(`${nginx.url}/late.test`)).toMatchObject({ status: 200 });
  });
});
