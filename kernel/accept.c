// SPDX-License-Identifier: GPL-2.0
/*
 * Accepting connections as lwsockets. Descriptors are left to the system call:
 * security modules watch it by a hook that isn't exported. What becomes of a
 * connection is a user's as if accept() had made it; so this does as
 * do_accept() does. kernel_accept() makes sockets of the kernel's own, which of
 * some protocols hold no reference to their network namespace.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <net/inet_connection_sock.h>
#include <net/ipv6.h>
#include <net/tcp.h>

#include "channel.h"
#include "features.h"

static bool mp_no_lwsockets;
module_param_named(no_lwsockets, mp_no_lwsockets, bool, 0644);
MODULE_PARM_DESC(
	no_lwsockets,
	"accept nothing as an lwsocket, which packet rules may not see");

/* The protocols whose accept() was read for what it takes, and is tested. */
static bool mp_knows_protocol(const struct socket *sock)
{
	const struct sock *sk = sock->sk;

	switch (READ_ONCE(sk->sk_family)) {
	case AF_INET:
	case AF_INET6:
		return sock->type == SOCK_STREAM &&
		       (sk->sk_protocol == IPPROTO_TCP ||
			sk->sk_protocol == IPPROTO_MPTCP);
	case AF_UNIX:
	case AF_VSOCK:
		return sock->type == SOCK_STREAM ||
		       sock->type == SOCK_SEQPACKET;
	default:
		return false;
	}
}

/*
 * -EAGAIN: nothing is there to accept, or why it can't be; 0: it must be tried.
 * Much cheaper than that; what comes after it wakes us.
 */
static noinline int mp_ask_other(struct mp_handle *h)
{
	if (!mp_knows_protocol(h->sock))
		return -EOPNOTSUPP;
	if (h->sock->sk->sk_state == TCP_LISTEN &&
	    !(mp_poll(h) & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		return -EAGAIN;
	return 0;
}

static int mp_ask_listener(struct mp_handle *h)
{
	const struct sock *sk = h->sock->sk;

	if (!mp_is_plain_tcp(sk))
		return mp_ask_other(h);
	if (sk->sk_state == TCP_LISTEN &&
	    reqsk_queue_empty(&inet_csk(sk)->icsk_accept_queue))
		return -EAGAIN;
	return 0;
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

/* A file for a connection of the other socket's kind, which it hasn't yet. */
struct file *mp_file_like(const struct socket *other)
{
	struct socket *sock = sock_alloc();

	if (!sock)
		return ERR_PTR(-ENFILE);
	sock->type = other->type;
	sock->ops = READ_ONCE(other->ops);
	__module_get(sock->ops->owner);
	return sock_alloc_file(sock, 0, other->sk->sk_prot_creator->name);
}

static int mp_accept_to(struct socket *listener, struct socket *new)
{
#ifdef HAVE_PROTO_ACCEPT_ARG
	struct proto_accept_arg arg = { .flags = O_NONBLOCK };

	return READ_ONCE(listener->ops)->accept(listener, new, &arg);
#else
	return READ_ONCE(listener->ops)
		->accept(listener, new, O_NONBLOCK, false);
#endif
}

/* The file comes first: for want of it no connection is lost. */
struct file *mp_accept_file(struct socket *listener)
{
	struct file *file = mp_file_like(listener);
	int ret;

	if (IS_ERR(file))
		return file;
	ret = mp_accept_to(listener, sock_from_file(file));
	if (!ret)
		return file;
	fput(file);
	return ERR_PTR(ret);
}

/* One connection, its handle's number; -EAGAIN: there is none. */
s64 mp_try_accept(struct mp_handle *h, struct megapipe_completion *peer)
{
	struct mp_handle *new;
	int ret;

	ret = mp_ask_listener(h);
	if (ret)
		return ret;
	if (READ_ONCE(mp_no_lwsockets))
		return -EOPNOTSUPP;
	new = mp_lwsocket_accept(h);
	if (IS_ERR(new))
		return PTR_ERR(new);
	if (h->lanes[MP_READING].flags & MEGAPIPE_F_PEER)
		mp_tell_peer(new->sock->sk, peer);
	return new->number;
}
