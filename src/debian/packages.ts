/** What a package is needed for; the set-up for a purpose installs what that purpose needs. */
export type Purpose = 'build' | 'bench' | 'test' | 'lint';

type DebianPackage = { name: string; purpose: Purpose; why: string };

/** A package that is unpacked; not where the release has the other one, which is installed then. */
type UnpackedPackage = DebianPackage & { unless?: string };

/** Every Debian package that the project uses beyond Node.js, and beyond what each port says that it is built with. */
export const debianPackages: readonly DebianPackage[] = [
  { name: 'gcc', purpose: 'build', why: 'compiles libmegapipe and the ports' },
  { name: 'g++', purpose: 'build', why: 'compiles the load generator’s addon for Node.js' },
  { name: 'libc6-dev', purpose: 'build', why: 'C headers' },
  { name: 'make', purpose: 'build', why: 'builds libmegapipe and the ports' },
  { name: 'pkg-config', purpose: 'build', why: 'finds libraries; its m4 file is needed by autoreconf' },
  { name: 'autoconf', purpose: 'build', why: 'a port’s patches change its configure.ac' },
  { name: 'automake', purpose: 'build', why: 'a port’s patches change its Makefile.am' },
  { name: 'patch', purpose: 'build', why: 'applies a port’s patches' },
  { name: 'cloc', purpose: 'build', why: 'counts the lines that a port changes' },
  { name: 'xz-utils', purpose: 'build', why: 'unpacks source packages' },
  { name: 'dpkg-dev', purpose: 'build', why: 'apt-get source' },
  { name: 'zlib1g-dev', purpose: 'build', why: 'the load generator checks what is compressed' },
  { name: 'iproute2', purpose: 'bench', why: 'network namespaces and veth pairs' },
  { name: 'procps', purpose: 'bench', why: 'sysctl' },
  { name: 'linux-perf', purpose: 'bench', why: 'counts system calls, from outside the server' },
  {
    name: 'libmemcached-tools',
    purpose: 'test',
    why: 'memccapable and memcaslap, clients nobody here wrote',
  },
  { name: 'perl', purpose: 'test', why: 'memcached’s own test suite' },
  { name: 'libio-socket-ssl-perl', purpose: 'test', why: 'memcached’s own tests of TLS' },
  { name: 'libsasl2-modules', purpose: 'test', why: 'memcached’s own test of SASL' },
  { name: 'wrk', purpose: 'test', why: 'an HTTP load generator that nobody here wrote' },
  { name: 'strace', purpose: 'test', why: 'that the kernel crossings counted are those made' },
  { name: 'libasan8', purpose: 'test', why: 'builds with AddressSanitizer' },
  { name: 'libubsan1', purpose: 'test', why: 'builds with UndefinedBehaviorSanitizer' },
  { name: 'curl', purpose: 'test', why: 'a client of nginx that nobody here wrote' },
  { name: 'openssl', purpose: 'test', why: 'makes certificates for nginx' },
  { name: 'qemu-system-x86', purpose: 'test', why: 'virtual machines, in which the kernel module is tested' },
  { name: 'gcc-multilib', purpose: 'test', why: '32-bit programs, which the module serves, too' },
  { name: 'cpio', purpose: 'test', why: 'the file system that a virtual machine starts with' },
  { name: 'kmod', purpose: 'test', why: 'which of a kernel’s modules needs which' },
  { name: 'zstd', purpose: 'test', why: 'unpacks the kernel of virtual machines' },
  { name: 'gcc-12', purpose: 'test', why: 'what Debian’s kernels were compiled with, for modules' },
  { name: 'libelf1', purpose: 'test', why: 'the tools in the kernel’s headers' },
  { name: 'pahole', purpose: 'test', why: 'types of modules for Debian’s 6.12' },
  { name: 'clang-format', purpose: 'lint', why: 'the format of our C' },
];

/**
 * Packages that are unpacked under build/distro and not installed, because installing them would start a server on
 * this machine.
 */
export const unpackedPackages: readonly UnpackedPackage[] = [
  {
    name: 'node-llhttp',
    unless: 'libllhttp-dev',
    purpose: 'build',
    why: 'C sources of llhttp, node’s parser of HTTP; installing it would bring the distribution’s node',
  },
  {
    name: 'nats-server',
    purpose: 'bench',
    why: 'load from several machines: where agents and conductor meet',
  },
  {
    name: 'memcached',
    purpose: 'test',
    why: 'a server that nobody here built, to check the load generator against',
  },
  { name: 'sasl2-bin', purpose: 'test', why: 'saslpasswd2, for memcached’s own test of SASL' },
  {
    name: 'libnginx-mod-http-echo',
    purpose: 'test',
    why: 'a module of nginx that the distribution built; installing it would bring the distribution’s nginx',
  },
  { name: 'libnginx-mod-rtmp', purpose: 'test', why: 'one that calls the kernel by itself' },
  {
    name: 'libnginx-mod-http-perl',
    purpose: 'test',
    why: 'one that rebuilds the environment',
  },
];

const included: Record<Purpose, readonly Purpose[]> = {
  build: ['build'],
  bench: ['build', 'bench'],
  test: ['build', 'bench', 'test', 'lint'],
  lint: ['lint'],
};

/** Those of the packages that a purpose needs. */
export function packagesFor<One extends DebianPackage>(purpose: Purpose, packages: readonly One[]): One[] {
  return packages.filter((candidate) => included[purpose].includes(candidate.purpose));
}
