import { echoProtocol } from './echo-load.js';
import { httpProtocol } from './http-load.js';
import { memcachedProtocol } from './memcached-load.js';
import type { Protocol } from './protocol.js';
import type { CommonResult, Counted } from './result.js';

const protocols: readonly Protocol<CommonResult & Counted>[] = [
  memcachedProtocol,
  httpProtocol,
  echoProtocol,
];

/** What an agent can speak, by name. */
export function protocolNamed(name: string): Protocol<CommonResult & Counted> | undefined {
  return protocols.find((protocol) => protocol.name === name);
}
