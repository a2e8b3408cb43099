import type { Script, Step } from '../client.js';
import { content } from '../content.js';
import type { NginxPlace } from './configuration.js';
import { answerCounter } from './http-answers.js';
import type { Client, ClientStep, NginxScenario, Request, Resource } from './scenario.js';

/** The path of a resource. */
export function target(resource: Resource): string {
  switch (resource.kind) {
    case 'file':
      return `/${resource.name}`;
    case 'text':
      return '/text';
    case 'loop':
      return '/loop';
    case 'proxied':
      return `/${resource.through}/${encodeURIComponent(resource.manner)}/${resource.size}`;
  }
}

function requestBytes({ method, resource, body, close }: Request): Buffer {
  const head = [
    `${method} ${target(resource)} HTTP/1.1`,
    'Host: localhost',
    ...(method === 'POST' ? [`Content-Length: ${body}`] : []),
    ...(close ? ['Connection: close'] : []),
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), content(method === 'POST' ? body : 0)]);
}

function stepsOf(client: Client): Step[] {
  const answers = answerCounter();
  const step = (what: ClientStep): Step[] => {
    switch (what.do) {
      case 'request': {
        const requests = Array.from({ length: what.times }, () => what.requests).flat();
        return [
          { do: 'send', data: Buffer.concat(requests.map(requestBytes)) },
          { do: 'call', run: () => requests.forEach(({ method }) => void answers.sent(method)) },
        ];
      }
      case 'begin request': {
        const bytes = requestBytes(what.request);
        return [{ do: 'send', data: bytes.subarray(0, Math.floor(bytes.length * what.portion)) }];
      }
      case 'await answers':
        return [{ do: 'await', isDone: answers.haveAllCome }];
      case 'await bytes':
        return [{ do: 'await', isDone: (got) => got.length >= what.count }];
      default:
        return [what];
    }
  };
  return client.steps.flatMap(step);
}

/** How many plain listeners there are at a time. */
function listenersAt(ms: number, { listeners, life }: NginxScenario): number {
  const reloads = life.filter((step) => step.do === 'reload' && step.atMs < ms);
  return reloads.sort((a, b) => a.atMs - b.atMs).at(-1)?.listeners ?? listeners;
}

/** Where a client connects to. */
export function portOf(client: Client, scenario: NginxScenario, place: NginxPlace): number {
  const ports = {
    http: place.plain[client.listener % listenersAt(client.startMs, scenario)] as number,
    'tls 1.2': place.tls,
    'tls 1.3': place.tls,
    stream: place.stream,
    h2: place.h2,
  };
  return ports[client.way];
}

/** What a client does, in bytes and to a port. */
export function scriptOf(client: Client, scenario: NginxScenario, place: NginxPlace): Script {
  const maxVersion = client.way === 'tls 1.2' ? 'TLSv1.2' : 'TLSv1.3';
  return {
    to: { port: portOf(client, scenario, place), host: '127.0.0.1' },
    ...(client.way.startsWith('tls') ? { tls: { maxVersion } } : {}),
    steps: stepsOf(client),
    lingerMs: client.lingerMs,
  };
}
