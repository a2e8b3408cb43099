// SPDX-License-Identifier: GPL-2.0
/* Nothing new: where this doesn't compile, the others say nothing. */
#include <linux/version.h>
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "MegaPipe needs Linux 6.1 or newer, and these are the headers of an older one"
#endif
#include <net/sock.h>

int mp_feature(struct sock *sk);
int mp_feature(struct sock *sk)
{
	return sk->sk_err;
}
