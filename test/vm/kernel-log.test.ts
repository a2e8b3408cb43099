import { expect, test } from 'vitest';
import { complaintIn } from '../../src/vm/kernel-log.js';

const healthy = `[    0.000000] Linux version 6.1.0-56-amd64
[    0.101000] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!
[    1.195457] megapipe: loading out-of-tree module taints kernel.
[    3.500000] node invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
[    3.500001] Call Trace:
[    3.500002] Memory cgroup out of memory: Killed process 93 (node)
`;

test('a log without complaints has none, be there warnings of the machine or killed processes', () => {
  expect(complaintIn(healthy)).toBeUndefined();
});

test.each([
  'BUG: KASAN: use-after-free in mp_channel_release+0x10/0x20 [megapipe]',
  'BUG: kernel NULL pointer dereference, address: 0000000000000010',
  'BUG megapipe_handle (Tainted: G O): Objects remaining in megapipe_handle on __kmem_cache_shutdown()',
  'kernel BUG at mm/slub.c:4053!',
  'WARNING: CPU: 1 PID: 93 at net/core/sock.c:1 sock_put+0x1',
  'WARNING: possible circular locking dependency detected',
  'WARNING: suspicious RCU usage',
  'Oops: 0002 [#1] PREEMPT SMP NOPTI',
  'Kernel panic - not syncing: Fatal exception',
  'general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1]',
  'UBSAN: array-index-out-of-bounds in channel.c:12:3',
  'INFO: task node:93 blocked for more than 120 seconds.',
  'INFO: trying to register non-static key.',
  'rcu: INFO: rcu_preempt self-detected stall on CPU',
  'watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [node:93]',
  'kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)',
  'unreferenced object 0xffff888003a1b000 (size 256):',
  'ODEBUG: free active (active state 0) object type: timer_list hint: delayed',
  'refcount_t: underflow; use-after-free.',
  'list_del corruption. prev->next should be ffff, but was 0',
])('"%s" is a complaint, shown with what follows it', (line) => {
  const complaint = complaintIn(`${healthy}[    4.000000] ${line}\n[    4.000001] RIP: 0010:culprit+0x1\n`);
  expect(complaint).toContain(line);
  expect(complaint).toContain('culprit+0x1');
  expect(complaint).not.toContain('oom-killer');
});
