import { join } from 'node:path';
import { buildDir } from '../../base/paths.js';

const program = (name: string) => join(buildDir, 'bench', name);

/** The plugin of qemu that counts instructions. */
export const countPlugin = program('count.so');

/** The client, whose marks the plugin sees. */
export const pingpong = program('pingpong');
