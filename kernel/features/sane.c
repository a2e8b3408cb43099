// SPDX-License-Identifier: GPL-2.0
/* Nothing new: where this doesn't compile, the others say nothing. */
#include <net/sock.h>

int mp_feature(struct sock *sk);
int mp_feature(struct sock *sk)
{
	return sk->sk_err;
}
