import { expect, test } from 'vitest';
import { kernelPackages } from '../../src/vm/kernel.js';

/** What packages depend on, as releases of Debian have it. */
const releases: Record<string, Record<string, string[]>> = {
  bookworm: {
    'linux-headers-amd64': ['linux-headers-6.1.0-57-amd64'],
    'linux-headers-6.1.0-57-amd64': [
      'linux-headers-6.1.0-57-common',
      'linux-image-6.1.0-57-amd64',
      'linux-kbuild-6.1',
      'linux-compiler-gcc-12-x86',
    ],
    'linux-headers-6.12-amd64': ['linux-headers-6.12.117+deb12-amd64'],
    'linux-headers-6.12.117+deb12-amd64': ['linux-headers-6.12.117+deb12-common', 'gcc-12'],
  },
  trixie: {
    'linux-headers-amd64': ['linux-headers-6.12.118+deb13-amd64'],
    'linux-headers-6.12.118+deb13-amd64': [
      'linux-base',
      'linux-headers-6.12.118+deb13-common',
      'linux-kbuild-6.12.118+deb13',
      'gcc-14',
    ],
  },
};
const ask = (release: string) => async (name: string) => releases[release]?.[name] ?? [];

test('a kernel’s packages are those of the series that is asked for, whatever a release has by itself', async () => {
  expect(await kernelPackages('6.1', ask('bookworm'))).toEqual([
    'linux-image-6.1.0-57-amd64',
    'linux-headers-6.1.0-57-amd64',
    'linux-headers-6.1.0-57-common',
    'linux-kbuild-6.1',
  ]);
  expect((await kernelPackages('6.12', ask('bookworm')))[0]).toBe('linux-image-6.12.117+deb12-amd64');
  expect((await kernelPackages('6.12', ask('trixie')))[0]).toBe('linux-image-6.12.118+deb13-amd64');
});

test('a release that has another series only is no place to get a kernel from', async () => {
  await expect(kernelPackages('6.1', ask('trixie'))).rejects.toThrow('apt knows no kernel 6.1');
});
