import { basename, resolve } from 'node:path';
import { UserError } from '../base/errors.js';
import { isOurs } from '../port/port.js';
import type { Application } from './application/application.js';
import { echo } from './application/echo/echo.js';
import { memcachedAt } from './application/memcached/memcached.js';
import { nginxAt } from './application/nginx/nginx.js';
import { portApplication } from './application/port/port.js';

/** In the order of the paper's sections. */
const applications: Record<string, (version?: string) => Application> = {
  echo: echoAt,
  memcached: memcachedAt,
  nginx: nginxAt,
};

export const applicationNames = Object.keys(applications);

/** An application as the command line names it: a port of others is a folder. */
export function findApplication(name: string, version?: string): Application {
  const own = name.includes('/') && isOurs(resolve(name)) ? basename(resolve(name)) : name;
  if (own.includes('/')) return portApplication(own, version);
  const application = applications[own];
  if (!application) {
    throw new UserError(`there is no benchmark of "${name}"`, {
      hint: `there is: ${applicationNames.join(', ')}; or give the folder of a port of yours, like ./${name}`,
      exitCode: 2,
    });
  }
  const found = application(version);
  // Which versions there are, the port says.
  if (version !== undefined) found.port?.();
  return found;
}

function echoAt(version?: string): Application {
  if (version === undefined) return echo;
  throw new UserError('the echo server is ours, and has no versions', {
    hint: 'leave --version out',
    exitCode: 2,
  });
}
