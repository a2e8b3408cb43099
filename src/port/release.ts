import { UserError } from '../base/errors.js';
import { findOriginal, type OriginalTarball } from '../debian/source.js';
import type { Port } from './port.js';

/**
 * The same port for what another release of the distribution has of its application, built in a folder of its own.
 *
 * A tarball that port.json doesn't know is the one that the release's signed index names.
 */
export async function portForRelease(port: Port, release: string): Promise<Port> {
  if (!/^[a-z]+$/.test(release)) {
    throw new UserError(`${release} is not the name of a release`, {
      hint: 'give a Debian release by its code name, such as trixie',
      exitCode: 2,
    });
  }
  const { debian } = port;
  if (!debian) {
    throw new UserError(`${port.name} ${port.version} is not the distribution’s`, {
      hint: 'leave --release or --version out',
      exitCode: 2,
    });
  }
  const known = port.releases[release];
  const original: OriginalTarball = known ?? (await findOriginal(debian.package, release));
  const { version, file, sha256 } = original;
  if (version === port.version) return port;
  return {
    ...port,
    version,
    release,
    debian: { ...debian, file, sha256 },
    buildDirectory: `${port.buildDirectory}-${version}`,
  };
}
