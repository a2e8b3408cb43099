import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, expect, test } from 'vitest';
import { unpackedRoot } from '../../src/debian/install.js';
import { ask } from './client.js';
import type { Place } from './config.js';
import { describeKinds, type Kind } from './kinds.js';
import { start } from './server.js';
import { until } from './waiting.js';

// Modules as the distribution builds them: apart from the server, and without our flags.

const moduleFile = (name: string, library: string) =>
  join(unpackedRoot(`libnginx-mod-${name}`), `usr/lib/nginx/modules/ngx_${library}_module.so`);
const modules = {
  echo: moduleFile('http-echo', 'http_echo'),
  rtmp: moduleFile('rtmp', 'rtmp'),
  perl: moduleFile('http-perl', 'http_perl'),
};

let perlLibraries: string;
beforeAll(async () => {
  const { stdout } = await execa('perl', ['-MConfig', '-e', 'print $Config{vendorarch}']);
  perlLibraries = join(unpackedRoot('libnginx-mod-http-perl'), stdout);
});

/** Their binary interface is that of the distribution's nginx. */
const fits = ({ version }: Kind) => version === undefined && process.env.NGINX_TEST_BUILDS === undefined;

const startWith = (kind: Kind, name: keyof typeof modules, server: string, main: (place: Place) => string) =>
  start(kind, {
    portCount: 2,
    main: (place) => `load_module ${modules[name]};\n${main(place)}`,
    server,
    env: { PERL5LIB: perlLibraries },
  });

describeKinds((kind) => {
  const testModule = (name: string, run: () => Promise<void>) =>
    test(name, async ({ skip }) => {
      if (!fits(kind)) skip('the distribution has no modules for this nginx');
      expect(Object.values(modules).filter((file) => !existsSync(file))).toEqual([]);
      await run();
    });

  testModule('a module that writes an answer in parts, and reads a body', async () => {
    const nginx = await startWith(
      kind,
      'echo',
      `location /parts { echo -n hello; echo_flush; echo_sleep 0.1; echo; echo_duplicate 50000 0123456789; }
       location /body { client_body_buffer_size 1m; echo_read_request_body; echo_request_body; }`,
      () => '',
    );
    expect((await ask(`${nginx.url}/parts`)).text).toBe(`hello\n${'0123456789'.repeat(50_000)}`);
    const body = 'x'.repeat(300_000);
    expect((await ask(`${nginx.url}/body`, { method: 'POST', body })).text).toBe(body);
  });

  testModule('a module that listens itself, and calls the kernel on its connections', async () => {
    const nginx = await startWith(
      kind,
      'rtmp',
      '',
      ({ ports }) =>
        `rtmp { access_log off; server { listen 127.0.0.1:${ports[1]}; application a { live on; } } }`,
    );
    const connection = await nginx.connect(nginx.ports[1]);
    const hello = Buffer.concat([Buffer.from([3]), Buffer.alloc(1536, 7)]);
    connection.write(hello);
    const answer = await connection.bytes(1 + 2 * 1536);
    expect(answer.readUInt8(0)).toBe(3);
    expect(answer.subarray(1 + 1536 + 8)).toEqual(hello.subarray(1 + 8));
  });

  testModule('a module that rebuilds the environment, at reloads', async () => {
    const nginx = await startWith(
      kind,
      'perl',
      `location / { perl 'sub { $_[0]->send_http_header; $_[0]->print("perl\\n" x 20000); return OK; }'; }`,
      () => 'env PERL5LIB;',
    );
    const text = 'perl\n'.repeat(20_000);
    for (let reloads = 0; reloads < 2; reloads += 1) {
      expect((await ask(nginx.url)).text).toBe(text);
      const before = nginx.workers();
      nginx.signal('SIGHUP');
      await until('new workers serve', () => nginx.workers().some((pid) => !before.includes(pid)));
    }
    expect((await ask(nginx.url)).text).toBe(text);
  });
});
