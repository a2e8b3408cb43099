// SPDX-License-Identifier: GPL-2.0
/* struct proto's accept() takes a structure (Linux 6.10). */
#include <net/sock.h>

struct sock *mp_feature(struct sock *sk);
struct sock *mp_feature(struct sock *sk)
{
	struct proto_accept_arg arg = {};

	return sk->sk_prot->accept(sk, &arg);
}
