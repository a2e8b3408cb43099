import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UserError } from '../../../base/errors.js';
import type { ServeSettings } from '../../../port/file.js';
import { loadPort, type Port, portNames, serverBinary } from '../../../port/port.js';
import type { EngineName, Variant } from '../../../results/schema.js';
import type { Application, Grid, PhaseSpec, Preset, ServerFolders, ServerPlace } from '../application.js';
import { channelsIn } from '../channel-words.js';
import { accumulated, baseline, megapipe } from '../variant.js';
import { type Protocol, protocols } from './protocols.js';

/**
 * A port of others, as its port.json says that it is served: an application like ours.
 *
 * @param folder where its port.json is
 */
export function portApplication(folder: string, version?: string): Application {
  const port = loadPort(folder, version);
  refuseOurNames(port);
  const settings = settingsOf(port);
  const { isReady, grids, varies, ...protocol } = protocols[settings.protocol];
  const alone = settings.workers === 'one';
  return {
    ...protocol,
    name: port.name,
    version,
    port: () => port,
    varies: alone ? varies.filter((field) => field !== 'cores') : varies,
    commonArguments: settings.arguments,
    fineGrainedLocks: false,
    stock: [baseline],
    techniques: settings.techniques,
    preset: (name, engines) => preset(name, engines, settings, grids),
    serverCommand: (variant, place, folders) => serverCommand(port, settings, variant, place, folders),
    wordsFile,
    processes: ({ workers }) => (settings.workers === 'processes' ? 1 + workers : 1),
    orphaned: settings.workers === 'processes' ? 'TERM' : 'KILL',
    isReady,
    identify: async (_ask, folders) => channelsIn(readWords(folders)) ?? null,
    readChannels: async () => null,
    complaints: (folders) => ({ words: lastOf(readWords(folders)), fatal: false }),
  };
}

/** The protocol that a port's server speaks, and where it listens unless it is told otherwise. */
export function portProtocol(folder: string): { name: ServeSettings['protocol']; defaultPort: number } {
  const { protocol } = settingsOf(loadPort(folder));
  return { name: protocol, defaultPort: protocols[protocol].defaultPort };
}

function settingsOf({ serve, directory }: Port): ServeSettings {
  if (serve) return serve;
  throw new UserError(
    `${join(directory, 'port.json')} does not say how its server is run: serve is missing`,
    {
      hint: 'add it; what it may hold: npx megapipe build --schema',
    },
  );
}

/** In results and in build/ a name is one application's. */
function refuseOurNames({ name, directory }: Port): void {
  if (!portNames().includes(name) && name !== 'echo') return;
  throw new UserError(
    `${join(directory, 'port.json')} is wrong: name: ${name} is taken by one of the kit’s own`,
    {
      hint: 'give it a name of its own',
    },
  );
}

function preset(
  name: 'quick' | 'full',
  engines: EngineName[],
  { techniques, workers }: ServeSettings,
  grids: Protocol['grids'],
): Preset {
  const all = engines.map((engine) => megapipe(engine, techniques));
  const [first] = engines;
  const steps = first
    ? accumulated(first).map((one) =>
        megapipe(
          first,
          one.techniques.filter((own) => techniques.includes(own)),
        ),
      )
    : [];
  const cores: Pick<Grid, 'cores'> = { cores: workers === 'one' ? [1] : 'all' };
  const spec = (topology: PhaseSpec['topology'], variants: Variant[]): PhaseSpec => ({
    headline: topology === 'loopback',
    about: 'the server',
    topology,
    variants: [...new Map([baseline, ...variants].map((variant) => [variant.id, variant])).values()],
    grids: grids[name].map((grid) => ({ ...grid, ...cores })),
    samples: 5,
  });
  return name === 'full'
    ? { phases: [spec('loopback', [...steps, ...all]), spec('netns', all)], durationMs: 800, warmupMs: 200 }
    : { phases: [spec('loopback', all)], durationMs: 500, warmupMs: 150 };
}

/** A server's words are its standard output and its standard error. */
const wordsFile = ({ scratch }: ServerFolders) => join(scratch, 'words');

function readWords(folders: ServerFolders): string {
  const file = wordsFile(folders);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

const lastOf = (text: string) => text.trim().split('\n').slice(-3).join('; ');

function serverCommand(
  port: Port,
  settings: ServeSettings,
  variant: Variant,
  place: ServerPlace,
  folders: ServerFolders,
): string[] {
  const own = settings[variant.server];
  const values = valuesOf(port, variant, place, folders);
  const fill = (text: string) => filled(text, values, port);
  if (settings.config !== undefined) {
    values.config = join(folders.scratch, basename(settings.config));
    writeFileSync(values.config, fill(readConfig(port, settings.config)));
  }
  const environment = Object.entries({ ...settings.environment, ...own.environment });
  const variables = environment.map(([name, value]) => `${name}=${fill(value)}`);
  return [
    ...(variables.length > 0 ? ['env', ...variables] : []),
    serverBinary(port, variant.server),
    ...[...settings.arguments, ...own.arguments].map(fill),
  ];
}

function readConfig({ directory }: Port, name: string): string {
  const file = join(directory, name);
  if (existsSync(file)) return readFileSync(file, 'utf8');
  throw new UserError(`${join(directory, 'port.json')} is wrong: serve.config: there is no ${file}`, {
    hint: 'name a file beside port.json',
  });
}

function valuesOf(
  { directory }: Port,
  { server, engine, techniques, batch, moderationUs }: Variant,
  { address, port, workers }: ServerPlace,
  { scratch, content }: ServerFolders,
): Record<string, string> {
  const state = (name: (typeof techniques)[number]) => (techniques.includes(name) ? 'on' : 'off');
  return {
    address,
    port: String(port),
    workers: String(workers),
    files: content,
    scratch,
    folder: directory,
    ...(server === 'megapipe'
      ? {
          engine: String(engine),
          batch: String(batch),
          moderation: String(moderationUs),
          lwsocket: state('lwsocket'),
          partition: state('partition'),
        }
      : {}),
  };
}

/** Words in braces that are no placeholders are the server’s own. */
const placeholder =
  /\{(address|port|workers|files|scratch|folder|config|engine|batch|moderation|lwsocket|partition)\}/g;

function filled(text: string, values: Record<string, string>, { directory }: Port): string {
  return text.replace(placeholder, (whole, name: string, at: number) => {
    const value = values[name];
    if (value !== undefined) return value;
    const line = text.slice(text.lastIndexOf('\n', at) + 1).split('\n')[0];
    throw new UserError(
      `${join(directory, 'port.json')} is wrong: serve: in “${line}” ${whole} has no value`,
      {
        hint:
          name === 'config'
            ? 'name a file in serve.config'
            : 'a baseline has no channels: put it in serve.megapipe’s arguments or environment',
      },
    );
  });
}
