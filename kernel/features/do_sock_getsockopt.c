// SPDX-License-Identifier: GPL-2.0
/* Socket options of all levels, with their hooks, by one function (6.7). */
#include <net/sock.h>

int mp_feature(struct socket *sock, int *len);
int mp_feature(struct socket *sock, int *len)
{
	return do_sock_setsockopt(sock, false, 0, 0, KERNEL_SOCKPTR(len), 0) ?:
		       do_sock_getsockopt(sock, false, 0, 0,
					  KERNEL_SOCKPTR(len),
					  KERNEL_SOCKPTR(len));
}
