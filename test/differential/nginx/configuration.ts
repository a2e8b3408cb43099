import type { Config } from '../../nginx/config.js';
import { fileSizes, type NginxScenario } from './scenario.js';

/** Where a server is and what is around it. */
export type NginxPlace = {
  directory: string;
  plain: number[];
  tls: number;
  stream: number;
  h2: number;
  origin: number;
  /** Nothing listens there. */
  dead: number;
};

const serverDirectives = (place: NginxPlace) => `
    root html; access_log access.log seen;
    location /text { return 200 "some text\\n"; }
    location /buffered/ { proxy_pass http://127.0.0.1:${place.origin}; }
    location /unbuffered/ { proxy_buffering off; proxy_request_buffering off; proxy_http_version 1.1;
      proxy_pass http://127.0.0.1:${place.origin}; }
    location /kept/ { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://kept; }
    location /dead/ { proxy_pass http://127.0.0.1:${place.dead}; }
    location /loop { proxy_pass http://127.0.0.1:${place.plain[0]}; }`;

const timeouts = (scenario: NginxScenario) => `
  send_timeout ${scenario.sendTimeout}s; keepalive_timeout ${scenario.keepaliveTimeout}s;
  client_header_timeout ${scenario.headerTimeout}s; client_body_timeout ${scenario.headerTimeout}s;
  proxy_read_timeout ${scenario.proxyReadTimeout}s; keepalive_requests ${scenario.keepaliveRequests};
  lingering_timeout 1s; lingering_time 2s;`;

/** What access.log holds of a request: what doesn't depend on when its client left. */
const accessFormat = '$request_method $uri $status $upstream_status';

/**
 * The configuration of a scenario.
 *
 * @param listeners how many of the plain listeners there are now
 */
export function configurationOf(scenario: NginxScenario, place: NginxPlace, listeners: number): Config {
  const plain = place.plain.slice(0, listeners).map((port) => `listen 127.0.0.1:${port} ${scenario.listen};`);
  const server = serverDirectives(place);
  return {
    workers: scenario.workers,
    workerConnections: scenario.workerConnections,
    partition: scenario.partition,
    http: `
  log_format seen '${accessFormat}';
  sendfile ${scenario.sendfile ? 'on' : 'off'};
  ${timeouts(scenario)}
  upstream kept { server 127.0.0.1:${place.origin}; keepalive 4; }
  server { ${plain.join(' ')} ${server} }
  server { listen 127.0.0.1:${place.tls} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem; ${server} }
  server { listen 127.0.0.1:${place.h2} http2; ${server} }`,
    stream: `server { listen 127.0.0.1:${place.stream}; proxy_pass 127.0.0.1:${place.plain[0]};
    proxy_timeout ${scenario.proxyReadTimeout}s; }`,
  };
}

/** The files that are served, with their sizes. */
export const servedFiles = Object.entries(fileSizes);
