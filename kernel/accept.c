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

/* Returns the lwsocket's handle, or a descriptor. */
static s64 mp_accept_lwsocket(struct mp_handle *h,
			      struct megapipe_completion *peer)
{
	struct mp_handle *new = mp_lwsocket_accept(h);

	if (IS_ERR(new))
		return PTR_ERR(new);
	if (peer)
		mp_tell_peer(new->sock->sk, peer);
	return new->number;
}

static s64 mp_accept_fd(struct mp_handle *h, struct megapipe_completion *peer)
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
	if (peer)
		mp_tell_peer(new->sk, peer);
	/* from here on another thread may close it */
	fd_install(fd, file);
	return fd;
}

/* One connection; -EAGAIN: there is none. */
s64 mp_try_accept(struct mp_handle *h, struct megapipe_completion *peer)
{
	const struct mp_lane *lane = &h->lanes[MP_READING];

	if (mp_is_empty(h->sock->sk))
		return -EAGAIN;
	if (!(lane->flags & MEGAPIPE_F_PEER))
		peer = NULL;
	return lane->flags & MEGAPIPE_F_LWSOCKET ? mp_accept_lwsocket(h, peer) :
						   mp_accept_fd(h, peer);
}
