import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { root } from '../../src/base/paths.js';

const manifest = z.object({ version: z.string() });

/** Of this kit: agents and conductor must have the same, or their numbers would not be of the same load. */
export const kitVersion = manifest.parse(
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')),
).version;
