// SPDX-License-Identifier: GPL-2.0
/*
 * Accepting connections, as file descriptors or lwsockets.
 */
#include <linux/file.h>
#include <net/inet_connection_sock.h>
#include <net/ipv6.h>
#include <net/tcp.h>

#include "channel.h"

/* Much cheaper than asking; what comes after it wakes us. */
static bool mp_is_empty(const struct sock *sk)
{
	return mp_is_plain_tcp(sk) && sk->sk_state == TCP_LISTEN &&
	       reqsk_queue_empty(&inet_csk(sk)->icsk_accept_queue);
}

static void mp_tell_peer(const struct sock *sk, struct megapipe_completion *c)
{
	if (sk->sk_family == AF_INET) {
		c->flags |= MEGAPIPE_C_IPV4;
		c->port = sk->sk_dport;
		memcpy(c->addr, &sk->sk_daddr, sizeof(sk->sk_daddr));
	}
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		c->flags |= MEGAPIPE_C_IPV6;
		c->port = sk->sk_dport;
		c->info = ipv6_iface_scope_id(&sk->sk_v6_daddr,
					      sk->sk_bound_dev_if);
		memcpy(c->addr, &sk->sk_v6_daddr, sizeof(sk->sk_v6_daddr));
	}
#endif
}

static int mp_accept_lwsocket(struct mp_handle *h,
			      struct megapipe_completion *c,
			      const struct socket **sock)
{
	struct mp_handle *new = mp_lwsocket_accept(h);

	if (IS_ERR(new))
		return PTR_ERR(new);
	c->result = new->number;
	*sock = new->sock;
	return 0;
}

static int mp_accept_fd(struct mp_handle *h, struct megapipe_completion *c,
			const struct socket **sock)
{
	struct socket *new;
	struct file *file;
	int fd, ret;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	ret = kernel_accept(h->sock, &new, O_NONBLOCK);
	if (!ret) {
		file = sock_alloc_file(new, 0, NULL);
		ret = PTR_ERR_OR_ZERO(file);
	}
	if (ret) {
		put_unused_fd(fd);
		return ret;
	}
	fd_install(fd, file);
	c->result = fd;
	*sock = new;
	return 0;
}

/* One connection; -EAGAIN: there is none. */
int mp_try_accept(struct mp_handle *h, struct mp_lane *lane,
		  struct megapipe_completion *c)
{
	const struct socket *sock;
	int ret;

	if (mp_is_empty(h->sock->sk))
		return -EAGAIN;
	ret = lane->flags & MEGAPIPE_F_LWSOCKET ?
		      mp_accept_lwsocket(h, c, &sock) :
		      mp_accept_fd(h, c, &sock);
	if (!ret && lane->flags & MEGAPIPE_F_PEER)
		mp_tell_peer(sock->sk, c);
	return ret;
}
