// SPDX-License-Identifier: GPL-2.0
/* Receive packet steering has a header of its own (6.9). */
#include <net/rps.h>

void mp_feature(struct sock *sk);
void mp_feature(struct sock *sk)
{
	sock_rps_record_flow(sk);
}
