import { UserError } from '../base/errors.js';
import { missingPackages } from '../debian/install.js';
import { debianPackages, type Purpose } from '../debian/packages.js';
import type { Finding } from './finding.js';

const costs: Record<Purpose, string> = {
  build: 'nothing can be built',
  bench: 'measurements run over loopback',
  test: 'some tests cannot run',
  lint: 'npm run lint and npm test cannot run',
};

/** The Debian packages that the project uses. */
export async function toolFindings(): Promise<Finding[]> {
  const purposes = [...new Set(debianPackages.map(({ purpose }) => purpose))];
  return Promise.all(purposes.map(toolFinding));
}

async function toolFinding(purpose: Purpose): Promise<Finding> {
  const names = debianPackages.filter((item) => item.purpose === purpose).map(({ name }) => name);
  const base = { area: 'tools', name: `packages to ${purpose}` } as const;
  const missing = await missingOrWhy(names);
  if (typeof missing === 'string')
    return { ...base, state: 'no', detail: missing, cost: 'nothing is installed by itself' };
  if (missing.length === 0) return { ...base, state: 'yes', detail: 'all installed' };
  const detail = `missing: ${missing.join(', ')}`;
  return {
    ...base,
    state: 'limited',
    detail,
    cost: costs[purpose],
    remedy: 'npm run build, bench, test and lint install them',
  };
}

async function missingOrWhy(names: string[]): Promise<string[] | string> {
  try {
    return await missingPackages(names);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
}
