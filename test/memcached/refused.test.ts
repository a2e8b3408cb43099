import { expect } from 'vitest';
import { engines } from '../engines.js';
import { testUnless } from '../skip.js';
import { megapipe, run, start } from './server.js';

/* Where containers, units and limits refuse io_uring: a server starts with `auto`, and one sentence tells why engine uring isn't there. */

const port = ['-l', '127.0.0.1', '-p', '-1'];
const whyNoUring = engines.find(({ engine }) => engine === 'uring')?.missing;

/** Runs a command with a seccomp filter that refuses a system call. */
const refusing = (call: number, errno: number) => [
  'perl',
  '-e',
  `my $code = pack("(SCCL)4", 0x20,0,0,0, 0x15,0,1,${call}, 6,0,0,0x50000|${errno}, 6,0,0,0x7fff0000);
   my $program = pack("Sx6P", 4, $code); my $prctl = ${process.arch === 'arm64' ? 167 : 157};
   syscall($prctl, 38, 1, 0, 0, 0) == 0 && syscall($prctl, 22, 2, $program) == 0 or die "no filter: $!";
   exec @ARGV;`,
];

/** Numbers of system calls, and errors: EPERM and ENOSYS. */
const refusals = [
  { name: 'io_uring_setup() with EPERM', call: 425, errno: 1, why: 'a seccomp filter .* refuses io_uring' },
  {
    name: 'io_uring_setup() with ENOSYS',
    call: 425,
    errno: 38,
    why: 'compiled without io_uring, or a seccomp',
  },
  { name: 'io_uring_enter()', call: 426, errno: 1, why: 'a seccomp filter .* refuses io_uring_enter\\(\\)' },
  {
    name: 'io_uring_register()',
    call: 427,
    errno: 1,
    why: 'a seccomp filter .* refuses io_uring_register\\(\\)',
  },
];

for (const { name, call, errno, why } of refusals) {
  testUnless(whyNoUring)(`a seccomp filter that refuses ${name} is named, and auto works`, async () => {
    const before = refusing(call, errno);
    const { exitCode, stderr } = await run(
      'megapipe',
      [...port, ...megapipe('uring')],
      {},
      undefined,
      before,
    );
    expect(exitCode).toBeGreaterThan(0);
    expect(stderr).toMatch(new RegExp(`^MegaPipe's engine "uring" doesn't work: .*${why}.*$`));

    const server = await start({ before, args: ['-o', 'megapipe'] });
    const { engine } = await server.stats('megapipe');
    const { output } = await server.end();
    expect(engine).toMatch(/^(?:epoll|kernel)$/);
    if (engine === 'epoll') expect(output).toMatch(new RegExp(`^MegaPipe: engine epoll \\(.*${why}`));
  });
}

const whyNoLimit = whyNoUring ?? (process.getuid?.() === 0 ? undefined : 'only root can be another user');

/** Of a user who holds no other channels: the kernel counts what is locked by user. */
const limited = (kib: number, threads: number) => ({
  before: ['prlimit', `--memlock=${kib * 1024}`],
  args: ['-u', 'backup', '-t', String(threads)],
});

testUnless(whyNoLimit)('RLIMIT_MEMLOCK without room for all threads is named, and auto works', async () => {
  const { before, args } = limited(64, 64);
  const why = 'RLIMIT_MEMLOCK is 64 KiB for all processes of user \\d+ together';
  const server = await start({ before, args: [...args, '-o', 'megapipe'] });
  const { engine } = await server.stats('megapipe');
  const { output } = await server.end();
  expect(engine).toMatch(/^(?:epoll|kernel)$/);
  if (engine === 'epoll') expect(output).toMatch(new RegExp(`^MegaPipe: engine epoll \\(${why}`));

  const uring = [...port, ...args, ...megapipe('uring')];
  const { exitCode, stderr } = await run('megapipe', uring, {}, undefined, before);
  expect(exitCode).toBeGreaterThan(0);
  expect(stderr).toMatch(new RegExp(`^Can't make 64 MegaPipe channels with engine "uring": ${why}`));
});

testUnless(whyNoLimit)('RLIMIT_MEMLOCK of 8 MiB has room for 64 threads', async () => {
  const { before, args } = limited(8_192, 64);
  const server = await start({ before, args: [...args, ...megapipe('uring')] });
  expect(await server.stats('megapipe')).toMatchObject({ '63:engine': 'uring' });
  expect((await server.end()).output).not.toMatch(/RLIMIT_MEMLOCK/);
});
