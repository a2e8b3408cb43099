import { userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect } from 'vitest';
import { loadResultSchema } from '../../loadgen/memcached-result.js';
import { root } from '../../src/base/paths.js';
import { unpackedRoot } from '../../src/debian/install.js';
import { testUnless } from '../skip.js';

const port = 5555;
const ports = 32;

/** In a network namespace of its own, where there are few local ports, which stay taken; it goes with its processes. */
const script = `
set -e
ip link set lo up
echo '40000 ${40_000 + ports - 1}' >/proc/sys/net/ipv4/ip_local_port_range
echo 0 >/proc/sys/net/ipv4/tcp_tw_reuse
"$MEMCACHED" -u ${userInfo().username} -l 127.0.0.1 -p ${port} -U 0 &
server=$!
trap 'kill $server' EXIT
until grep -q ':${port.toString(16).toUpperCase()} 00000000:0000 0A' /proc/net/tcp; do sleep 0.05; done
"$@"
`;

function loadInNamespace(args: string[]) {
  const command = [process.execPath, join(root, 'dist/src/cli.js'), 'load', 'memcached'];
  const load = [...command, '--server', `127.0.0.1:${port}`, '--requests-per-connection', '1', ...args];
  const env = { MEMCACHED: join(unpackedRoot('memcached'), 'usr/bin/memcached') };
  return execa('unshare', ['--net', 'sh', '-c', script, 'sh', ...load], {
    env,
    reject: false,
    timeout: 330_000,
  });
}

const { exitCode } = await execa('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up'], { reject: false });
const testInNamespace = testUnless(exitCode === 0 ? undefined : 'needs the right to make network namespaces');

describe('when local ports run out', () => {
  const args = ['--no-prefill', '--keys', '10', '--concurrency', '4', '--requests', '200', '--timeout', '30'];

  testInNamespace(
    'with FIN, each connect that failed is counted, and the table says what to do',
    async () => {
      const { stdout } = await loadInNamespace([...args, '--close', 'fin', '--json']);
      const result = loadResultSchema.parse(JSON.parse(stdout));
      expect(result.connections).toBe(ports);
      expect(result.requests.total).toBe(ports);
      expect(result.errors.portExhaustion).toBe(200 - ports);
      expect(result.requests.failed).toBe(200 - ports);
      expect(result.lastError).toBe('EADDRNOTAVAIL');
      const table = await loadInNamespace([...args, '--close', 'fin']);
      expect(table.stdout).toContain('no local port was free');
    },
  );

  testInNamespace('with RST they don’t: ports are free again at once', async () => {
    const { stdout } = await loadInNamespace([...args, '--close', 'rst', '--json']);
    const result = loadResultSchema.parse(JSON.parse(stdout));
    expect(result.requests).toMatchObject({ total: 200, failed: 0 });
    expect(result.connections).toBe(200);
  });
});
