import { expect, test } from 'vitest';
import { ask } from './client.js';
import {
  fastcgiUpstream,
  type GatewayRequest,
  type Respond,
  scgiUpstream,
  uwsgiUpstream,
} from './gateways.js';
import { describeKinds } from './kinds.js';
import { start } from './server.js';
import type { Upstream } from './upstream.js';
import { until } from './waiting.js';

/** Tells the request, and answers as many more bytes as the query says. */
const respond: Respond = ({ parameters, body }: GatewayRequest) => {
  const { REQUEST_METHOD, QUERY_STRING = '' } = parameters;
  const told = JSON.stringify({ REQUEST_METHOD, QUERY_STRING, body: body.toString('latin1') });
  return Buffer.from(
    `Status: 201 Made\r\nContent-Type: text/plain\r\nX-Gateway: yes\r\n\r\n${told}${'x'.repeat(Number(QUERY_STRING))}`,
  );
};

const parameters = (protocol: string) =>
  ['REQUEST_METHOD $request_method', 'QUERY_STRING $query_string', 'CONTENT_LENGTH $content_length']
    .map((parameter) => `${protocol}_param ${parameter};`)
    .join(' ');

const protocols: { name: string; serve: (respond: Respond) => Promise<Upstream> }[] = [
  { name: 'fastcgi', serve: fastcgiUpstream },
  { name: 'uwsgi', serve: uwsgiUpstream },
  { name: 'scgi', serve: scgiUpstream },
];

describeKinds((kind) => {
  test.each(protocols)('$name: requests, bodies and long answers', async ({ name, serve }) => {
    const upstream = await serve(respond);
    const nginx = await start(kind, {
      server: `client_max_body_size 0; location / { ${name}_pass 127.0.0.1:${upstream.port}; ${parameters(name)} }`,
    });
    expect(await ask(`${nginx.url}/?0`)).toMatchObject({
      status: 201,
      headers: { 'x-gateway': 'yes' },
      text: '{"REQUEST_METHOD":"GET","QUERY_STRING":"0","body":""}',
    });
    for (const length of [1, 10_000, 1_000_000, 5_000_000]) {
      const body = 'b'.repeat(length);
      const { text } = await ask(`${nginx.url}/?${length}`, { method: 'POST', body });
      const told = JSON.stringify({ REQUEST_METHOD: 'POST', QUERY_STRING: String(length), body });
      expect(text === told + 'x'.repeat(length)).toBe(true);
    }
    const answers = Array.from({ length: 40 }, (_, i) => ask(`${nginx.url}/?${i}`));
    for (const [i, { text }] of (await Promise.all(answers)).entries())
      expect(text).toContain(`"QUERY_STRING":"${i}"`);
    await until('nginx closes its connections', () => upstream.open.size === 0);
  });

  test.each(protocols)('$name: an answer is passed on without buffering', async ({ name, serve }) => {
    const upstream = await serve(respond);
    const nginx = await start(kind, {
      server: `location / { ${name}_pass 127.0.0.1:${upstream.port}; ${name}_buffering off; ${parameters(name)} }`,
    });
    for (const length of [0, 3_000_000]) {
      const { text } = await ask(`${nginx.url}/?${length}`);
      expect(text.slice(text.indexOf('}') + 1) === 'x'.repeat(length)).toBe(true);
    }
  });

  test('fastcgi: one connection for many requests, and what the gateway complains of is logged', async () => {
    const upstream = await fastcgiUpstream(respond);
    const nginx = await start(kind, {
      http: `upstream group { server 127.0.0.1:${upstream.port}; keepalive 2; }`,
      server: `location / { fastcgi_pass group; fastcgi_keep_conn on; ${parameters('fastcgi')} }`,
    });
    for (let i = 0; i < 30; i += 1)
      expect((await ask(`${nginx.url}/?${i}`)).text).toContain(`"QUERY_STRING":"${i}"`);
    expect(upstream.accepted).toBe(1);
    expect(nginx.errorLog()).toMatch(/FastCGI sent in stderr: "said by the gateway"/);
  });
});
