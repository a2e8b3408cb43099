import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadPort, serverBinary } from '../../../port/port.js';
import { type EngineName, techniqueName } from '../../../results/schema.js';
import type { Application, Grid, PhaseSpec, Preset } from '../application.js';
import { gridOf } from '../grid.js';
import { accumulated, baseline, reuseport, whole } from '../variant.js';
import { eventSettings, httpSettings, nginxConfig } from './config.js';
import { prepareContent } from './content.js';
import { complaints, identify, readLog } from './identity.js';
import { loadWords, parameters, readLoad, workloads } from './load.js';

/** nginx as the paper loads it (section 5.3): static files from memory, for three workloads. */
export const nginxAt = (version?: string): Application => ({
  name: 'nginx',
  version,
  port: () => loadPort('nginx', version),
  workload:
    'GET requests for static files from memory, every answer verified; requests per connection and sizes ' +
    'of files as the workloads have them',
  parameters,
  workloads,
  varies: ['workload', 'cores', 'connections', 'rate'],
  commonArguments: [...eventSettings, ...httpSettings].map((setting) => `${setting};`),
  fineGrainedLocks: false,
  stock: stockOf(version),
  techniques: techniqueName.options,
  defaultPort: 8080,
  preset: (name, engines) => preset(name, engines, stockOf(version)),
  prepareContent,
  serverCommand: (variant, place, folders) => {
    const config = join(folders.scratch, 'nginx.conf');
    writeFileSync(config, nginxConfig(variant, place, folders));
    const binary = serverBinary(loadPort('nginx', version), variant.server);
    // nginx 1.0.15 wants the slash.
    return [binary, '-p', `${folders.scratch}/`, '-c', config];
  },
  processes: ({ workers }) => 1 + workers,
  // The master ends its workers; killed outright it would leave them.
  orphaned: 'TERM',
  isReady: async (ask) => /^HTTP\/1\.1 204 /.test(await ask('GET / HTTP/1.0\r\n\r\n')),
  identify: async (_ask, folders) => identify(readLog(folders)),
  readChannels: async () => null,
  complaints: (folders) => complaints(readLog(folders)),
  loadWords,
  readLoad,
});

type Stock = Application['stock'];

/** The paper's version has no reuseport. */
const stockOf = (version?: string): Stock => (version === '1.0.15' ? [baseline] : [baseline, reuseport]);

const grid = (cores: Grid['cores'], own: readonly string[] = workloads) =>
  gridOf({ workload: [...own], requestsPerConnection: [null], cores });

/**
 * The full run is the paper's Fig. 7 on each topology. The quick run has all workloads on all cores, and the rivals once
 * more on separate hosts, where loopback flatters nobody.
 */
function preset(name: 'quick' | 'full', engines: EngineName[], stock: Stock): Preset {
  return name === 'full'
    ? { phases: fullPhases(engines, stock), durationMs: 800, warmupMs: 200 }
    : { phases: quickPhases(engines, stock), durationMs: 500, warmupMs: 150 };
}

const about = 'workloads';

function fullPhases(engines: EngineName[], stock: Stock): PhaseSpec[] {
  const [first, ...others] = engines;
  const rivals = {
    about,
    variants: [...stock, ...engines.map(whole)],
    grids: [grid('each')],
    samples: 5,
  };
  return [
    {
      ...rivals,
      headline: true,
      topology: 'loopback',
      variants: [...stock, ...(first ? accumulated(first) : []), ...others.map(whole)],
    },
    { ...rivals, topology: 'netns-shared' },
    { ...rivals, topology: 'netns' },
  ];
}

function quickPhases(engines: EngineName[], stock: Stock): PhaseSpec[] {
  const wholes = engines.map(whole);
  const rivals = [baseline, ...wholes.slice(0, 1)];
  const others = [...stock.slice(1), ...wholes.slice(1)];
  return [
    { headline: true, about, topology: 'loopback', variants: rivals, grids: [grid('all')], samples: 5 },
    {
      about: 'other ways to share connections, and other engines',
      topology: 'loopback',
      variants: [baseline, ...others],
      grids: [grid('all')],
      samples: 5,
    },
    {
      about,
      topology: 'netns',
      variants: rivals,
      grids: [grid('all', ['specweb'])],
      samples: 5,
    },
  ];
}
