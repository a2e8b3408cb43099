import { UserError } from '../base/errors.js';
import { loadPort, type Port } from './port.js';

/** A port of the version that is asked for, or of its usual one; see `loadPort`. */
export function loadPortVersion(name: string, version?: string, output?: string): Port {
  const port = loadPort(name, output);
  return version === undefined ? port : portForVersion(port, version);
}

/** The same port for another version that its port.json describes, built in a folder of its own. */
export function portForVersion(port: Port, version: string): Port {
  if (version === port.version) return port;
  const other = port.versions[version];
  if (!other) {
    throw new UserError(`the port of ${port.name} has no version ${version}`, {
      hint: `it has: ${[port.version, ...Object.keys(port.versions)].join(', ')}`,
      exitCode: 2,
    });
  }
  const { debian: _debian, ...usual } = port;
  const given = Object.fromEntries(Object.entries(other).filter(([, value]) => value !== undefined));
  return { ...usual, ...given, version, buildDirectory: `${port.buildDirectory}-${version}` };
}
