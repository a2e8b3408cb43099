import { BlockList, isIP } from 'node:net';
import { UserError } from '../../src/base/errors.js';
import type { Load } from '../load.js';
import type { Address } from '../options.js';
import { peakRate } from '../rate.js';
import type { CommonResult } from '../result.js';

/** What an agent may load. */
export type Allowed = {
  /** As it was named. */
  text: string;
  covers(address: Address): boolean;
};

/** Whom an agent may load, and how fast. Its own command line says so, never an order. */
export type Limits = {
  allow: Allowed[];
  /** Requests a second; undefined: as many as it can. */
  maxRate: number | undefined;
};

const form = /^(?:\[([^\]]+)\]|([^[\]]+?))(?:\/(\d{1,3}))?(?::(\d{1,5}))?$/;

function subnet(text: string, host: string, length: string | undefined, port: string | undefined) {
  const family = isIP(host);
  const bits = family === 4 ? 32 : 128;
  const prefix = Number(length ?? bits);
  const isPort = port === undefined || (Number(port) >= 1 && Number(port) <= 65535);
  if (family === 0 || host.includes('%') || prefix > bits || !isPort) return undefined;
  const list = new BlockList();
  list.addSubnet(host, prefix, family === 4 ? 'ipv4' : 'ipv6');
  const covers = (address: Address) =>
    'host' in address &&
    !address.host.includes('%') &&
    (port === undefined || address.port === Number(port)) &&
    list.check(address.host, isIP(address.host) === 4 ? 'ipv4' : 'ipv6');
  return { text, covers };
}

/** Read ADDRESS, ADDRESS:PORT, CIDR, CIDR:PORT (of IPv6 in brackets where a port follows) or unix:PATH; undefined: it is none of these. */
export function parseAllowed(text: string): Allowed | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    return path === ''
      ? undefined
      : { text, covers: (address) => 'path' in address && address.path === path };
  }
  if (isIP(text)) return subnet(text, text, undefined, undefined);
  const match = form.exec(text);
  return match ? subnet(text, match[1] ?? match[2] ?? '', match[3], match[4]) : undefined;
}

/** What every agent may load. */
const loopback = ['127.0.0.0/8', '::1'].map((text) => parseAllowed(text) as Allowed);

/** The same in words. */
export function limitsInWords({ allow, maxRate }: Limits): string {
  const targets = ['loopback', ...allow.map(({ text }) => text)].join(', ');
  return `it may load ${targets}, at ${maxRate === undefined ? 'any rate' : `${maxRate} requests a second at most`}`;
}

const placeOf = (address: Address) =>
  'path' in address
    ? `unix:${address.path}`
    : `${isIP(address.host) === 6 ? `[${address.host}]` : address.host}:${address.port}`;

function addressOf({ path, host, port }: Load<CommonResult>['plan']): Address {
  return path === undefined ? { host: host ?? '', port: port ?? 0 } : { path };
}

/** Throws unless an agent may carry this out. The address is the one that is connected to, not its name. */
export function checkLimits({ allow, maxRate }: Limits, { plan, options }: Load<CommonResult>): void {
  const address = addressOf(plan);
  if (![...loopback, ...allow].some(({ covers }) => covers(address))) {
    const place = placeOf(address);
    throw new UserError(`this agent may not load ${place}`, {
      hint: `start it with --allow ${place} if it should`,
    });
  }
  if (maxRate === undefined) return;
  if (options.rate === undefined) {
    throw new UserError(`this agent may send ${maxRate} requests a second, and a closed loop has no limit`, {
      hint: 'say --rate',
    });
  }
  if (peakRate(options.rate) > maxRate) {
    const message = `this agent may send ${maxRate} requests a second, and its part are ${peakRate(options.rate)}`;
    throw new UserError(message, { hint: 'lower --rate, or its --max-rate is too low' });
  }
}
