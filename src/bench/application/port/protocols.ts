import type { ServeSettings } from '../../../port/file.js';
import type { Application, Ask, Grid } from '../application.js';
import * as echo from '../echo/load.js';
import { gridOf } from '../grid.js';
import * as memcached from '../memcached/load.js';
import { prepareContent } from '../nginx/content.js';
import * as http from '../nginx/load.js';

/** What servers of one protocol have in common: how they are asked, loaded and judged. */
export type Protocol = Pick<
  Application,
  | 'workload'
  | 'parameters'
  | 'workloads'
  | 'varies'
  | 'defaultPort'
  | 'prepareContent'
  | 'loadWords'
  | 'readLoad'
> & {
  isReady(ask: Ask): Promise<boolean>;
  /** The points of the quick run and of the full one. */
  grids: { quick: Grid[]; full: Grid[] };
};

const nothing = async () => ({ folder: '', parameters: {}, remove: () => undefined });

const memaslap = (requestsPerConnection: Grid['requestsPerConnection']) =>
  gridOf({ workload: ['memaslap'], requestsPerConnection });

const messages = (requestsPerConnection: Grid['requestsPerConnection'], messageBytes: number[]) =>
  gridOf({ workload: ['echo'], requestsPerConnection, messageBytes });

const few: Grid['requestsPerConnection'] = [1, 10, 'unlimited'];
const many: Grid['requestsPerConnection'] = [1, 2, 4, 8, 16, 32, 64, 128, 'unlimited'];

const files = (workload: readonly string[]) =>
  gridOf({ workload: [...workload], requestsPerConnection: [null] });

/** Each loads as the application of ours does that speaks it. */
export const protocols: Record<ServeSettings['protocol'], Protocol> = {
  http: {
    workload: 'GET requests for static files, every answer verified, as for nginx',
    parameters: http.parameters,
    workloads: http.workloads,
    varies: ['workload', 'cores', 'connections', 'rate'],
    defaultPort: 8080,
    prepareContent,
    loadWords: http.loadWords,
    readLoad: http.readLoad,
    isReady: async (ask) => /^HTTP\/1\.[01] \d/.test(await ask('GET / HTTP/1.0\r\n\r\n')),
    grids: { quick: [files(['specweb', 'yahoo'])], full: [files(http.workloads)] },
  },
  memcached: {
    workload: 'gets and sets over TCP, every value stored before and verified when got, as for memcached',
    parameters: memcached.parameters,
    workloads: ['memaslap'],
    varies: ['requestsPerConnection', 'cores', 'connections', 'rate'],
    defaultPort: 11211,
    prepareContent: nothing,
    loadWords: memcached.loadWords,
    readLoad: memcached.readLoad,
    isReady: async (ask) => /^VERSION /.test(await ask('version\r\nquit\r\n')),
    grids: { quick: [memaslap(few)], full: [memaslap(many)] },
  },
  echo: {
    workload: 'messages that come back, compared with what was sent',
    parameters: echo.parameters,
    workloads: ['echo'],
    varies: ['requestsPerConnection', 'messageBytes', 'cores', 'connections', 'rate'],
    defaultPort: 7777,
    prepareContent: nothing,
    loadWords: echo.loadWords,
    readLoad: echo.readLoad,
    isReady: async (ask) => (await ask('!', 1)) === '!',
    grids: { quick: [messages(few, [64])], full: [messages(many, [64]), messages([10], [256, 1024, 4096])] },
  },
};
