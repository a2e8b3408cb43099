import { join } from 'node:path';
import { root } from '../base/paths.js';

/** Where results go whose file was not named: a new one below results/, named after what was measured and the time. */
export function newResultsFile(measured: string): string {
  const now = new Date().toISOString().replace(/[-:]|\..*/g, '');
  return join(root, 'results', `${measured}-${now}.ndjson`);
}
