// SPDX-License-Identifier: GPL-2.0
/*
 * lwsockets (paper, section 4.1): a TCP control block without a file, a dentry,
 * a descriptor, and also without an inode of sockfs.
 *
 * The TCP stack wants a struct socket nevertheless: it waits for memory and
 * space there, and reads the user behind it. So an lwsocket has one, and as
 * much of an inode as is read, inside its own memory. Readers of sk->sk_wq are
 * under RCU and may come late: the memory stays an lwsocket's for a grace
 * period (SLAB_TYPESAFE_BY_RCU), its wait queue is made once, and our entry in
 * it stays there. A late wake-up finds no channel, or the next connection,
 * which then looks for nothing once.
 *
 * What isn't plain TCP (UNIX sockets, MPTCP, with a ULP) has a file like any
 * accepted connection, but no descriptor. So have all, with the module's
 * parameter lwsocket_file.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <net/inet_connection_sock.h>
#include <net/tcp.h>

#include "channel.h"
#include "features.h"
#ifdef HAVE_NET_RPS_H
#include <net/rps.h>
#endif

/*
 * From here on, __inet_accept() charges a connection to its memory cgroup, and
 * not the protocol's accept(). That shows in no header.
 */
#define MP_CHARGES_LATER KERNEL_VERSION(6, 18, 0)

/* Kept by a channel for its next connections. */
#define MP_SPARES_MAX 128

struct mp_lwsocket {
	struct mp_handle h;
	struct socket_alloc alloc;
};

bool mp_lwsocket_file;

static struct kmem_cache *mp_lwsocket_cache;

static struct mp_lwsocket *mp_lwsocket(struct mp_handle *h)
{
	return container_of(h, struct mp_lwsocket, h);
}

static struct socket *mp_own_socket(struct mp_handle *h)
{
	return &mp_lwsocket(h)->alloc.socket;
}

/* -------------------------------------------------------------- memory */

static void mp_construct(void *object)
{
	struct mp_lwsocket *lw = object;
	struct socket_wq *wq = &lw->alloc.socket.wq;

	memset(lw, 0, sizeof(*lw));
	inode_init_once(&lw->alloc.vfs_inode);
	init_waitqueue_head(&wq->wait);
	for (int i = 0; i < MP_WAITS; i++)
		mp_wait_init(&lw->h.waits[i], &lw->h);
	/* without a head: it is never taken out */
	__add_wait_queue(&wq->wait, &lw->h.waits[0].entry);
}

static struct mp_handle *mp_lwsocket_get(struct mp_channel *ch)
{
	struct mp_lwsocket *lw;
	struct mp_handle *h;

	if (!list_empty(&ch->spare)) {
		h = list_first_entry(&ch->spare, struct mp_handle, todo);
		list_del(&h->todo);
		ch->nspare--;
	} else {
		lw = kmem_cache_alloc(mp_lwsocket_cache, GFP_KERNEL);
		if (!lw)
			return NULL;
		h = &lw->h;
	}
	return h;
}

void mp_lwsocket_put(struct mp_channel *ch, struct mp_handle *h)
{
	if (ch->nspare < MP_SPARES_MAX && !ch->has_ended) {
		list_add(&h->todo, &ch->spare);
		ch->nspare++;
	} else {
		kmem_cache_free(mp_lwsocket_cache, mp_lwsocket(h));
	}
}

void mp_lwsockets_trim(struct mp_channel *ch)
{
	struct mp_handle *h, *next;

	list_for_each_entry_safe (h, next, &ch->spare, todo)
		kmem_cache_free(mp_lwsocket_cache, mp_lwsocket(h));
	INIT_LIST_HEAD(&ch->spare);
	ch->nspare = 0;
}

/* No wake-up gets to the handle after this. */
static void mp_stop_hearing(struct mp_handle *h)
{
	struct wait_queue_head *queue = &mp_own_socket(h)->wq.wait;

	spin_lock_irq(&queue->lock);
	h->hears = false;
	spin_unlock_irq(&queue->lock);
}

/* ------------------------------------------------------------ accepting */

static bool mp_can_do_without_file(const struct sock *sk)
{
	return !READ_ONCE(mp_lwsocket_file) && mp_is_plain_tcp(sk) &&
	       sk->sk_protocol == IPPROTO_TCP && !inet_csk(sk)->icsk_ulp_ops;
}

static struct sock *mp_accept_sock(struct sock *sk, int *err)
{
#ifdef HAVE_PROTO_ACCEPT_ARG
	struct proto_accept_arg arg = { .flags = O_NONBLOCK };
	struct sock *new = READ_ONCE(sk->sk_prot)->accept(sk, &arg);

	*err = arg.err;
	return new;
#else
	return READ_ONCE(sk->sk_prot)->accept(sk, O_NONBLOCK, err, false);
#endif
}

/*
 * As sock_graft(), but the label comes from the listener with the connection:
 * there is no inode to be labelled.
 */
static void mp_graft(struct sock *sk, struct mp_handle *h,
		     const struct socket *listener)
{
	struct socket *sock = mp_own_socket(h);
	struct inode *inode = SOCK_INODE(sock);

	inode->i_uid = current_fsuid();
	inode->i_ino = get_next_ino();
	sock->type = listener->type;
	sock->flags = listener->flags & BIT(SOCK_SUPPORT_ZC);
	sock->file = NULL;
	sock->ops = READ_ONCE(listener->ops);
	sock->wq.flags = 0;
	__module_get(sock->ops->owner);
	sock_rps_record_flow(sk);
	write_lock_bh(&sk->sk_callback_lock);
	rcu_assign_pointer(sk->sk_wq, &sock->wq);
	sock->sk = sk;
	sk_set_socket(sk, sock);
	sk->sk_uid = inode->i_uid;
	write_unlock_bh(&sk->sk_callback_lock);
	sock->state = SS_CONNECTED;
	h->sock = sock;
}

/*
 * Older kernels may get this change, too. Then it shows at the first connection
 * that would be charged if they hadn't.
 */
static void mp_check_charge(const struct sock *sk)
{
#ifdef CONFIG_MEMCG
	if (!mem_cgroup_sockets_enabled || sk->sk_memcg ||
	    !cgroup_subsys_on_dfl(memory_cgrp_subsys))
		return;
	rcu_read_lock();
	/* what the root group has isn't charged */
	if (mem_cgroup_from_task(current)->css.parent) {
		pr_notice(
			"lwsockets have files from now on: else this kernel charges their memory to nobody\n");
		WRITE_ONCE(mp_lwsocket_file, true);
	}
	rcu_read_unlock();
#endif
}

static int mp_accept_bare(struct mp_handle *h, const struct socket *listener)
{
	struct sock *sk;
	int err = 0;

	sk = mp_accept_sock(listener->sk, &err);
	if (!sk)
		return err;
	mp_check_charge(sk);
	mp_graft(sk, h, listener);
	return 0;
}

static void mp_have_file(struct mp_handle *h, struct file *file)
{
	h->file = file;
	h->sock = sock_from_file(file);
	mp_wait_add(&h->waits[1], &h->sock->wq.wait);
	h->is_attached = true;
}

static int mp_accept_with_file(struct mp_handle *h, struct socket *listener)
{
	struct file *file = mp_accept_file(listener);

	if (IS_ERR(file))
		return PTR_ERR(file);
	mp_have_file(h, file);
	return 0;
}

struct mp_handle *mp_lwsocket_accept(struct mp_handle *listener)
{
	struct mp_channel *ch = listener->ch;
	struct mp_handle *h = mp_lwsocket_get(ch);
	int ret;

	if (!h)
		return ERR_PTR(-ENOMEM);
	mp_handle_init(h, ch);
	ret = mp_table_add(&ch->lwsockets, h);
	if (ret)
		goto err_number;
	ret = mp_can_do_without_file(listener->sock->sk) ?
		      mp_accept_bare(h, listener->sock) :
		      mp_accept_with_file(h, listener->sock);
	if (ret)
		goto err_accept;
	if (h->sock->type != SOCK_STREAM)
		h->kind = MEGAPIPE_KIND_MESSAGES;
	h->cookie = h->number;
	return h;

err_accept:
	mp_table_remove(&ch->lwsockets, h);
err_number:
	mp_stop_hearing(h);
	mp_lwsocket_put(ch, h);
	return ERR_PTR(ret);
}

/* --------------------------------------------------------------- closing */

/*
 * Nobody is there to wait: it lingers behind our back, as without the option.
 */
static void mp_dont_linger(struct sock *sk)
{
	if (!sock_flag(sk, SOCK_LINGER) || !sk->sk_lingertime)
		return;
	lock_sock(sk);
	sock_reset_flag(sk, SOCK_LINGER);
	release_sock(sk);
}

static void mp_release_bare(struct socket *sock)
{
	struct module *owner = sock->ops->owner;

	mp_dont_linger(sock->sk);
	sock->ops->release(sock);
	module_put(owner);
}

void mp_lwsocket_close(struct mp_handle *h)
{
	mp_stop_hearing(h);
	if (!h->file) {
		mp_release_bare(h->sock);
		return;
	}
	/* with a descriptor, how it ends is the process's choice */
	if (!h->has_descriptor)
		mp_dont_linger(h->sock->sk);
	fput(h->file);
}

/* ------------------------------------------------------------- falling back */

/* Nothing of this can fail. The handle stays, and has the file, too. */
static void mp_move(struct mp_handle *h, struct file *file)
{
	struct socket *to = sock_from_file(file);
	struct socket *own = h->sock;
	struct sock *sk = own->sk;

	mp_have_file(h, file);
	lock_sock(sk);
	sock_graft(sk, to);
	to->state = own->state;
	to->flags = own->flags;
	release_sock(sk);
	own->sk = NULL;
	module_put(own->ops->owner);
	/* what it had told before, it may not tell again */
	atomic_or(~0, &h->seen);
	mp_todo(h);
}

int mp_lwsocket_fd(struct mp_handle *h)
{
	struct file *file;
	int fd;

	if (h->is_closing)
		return -EBADF;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	if (!h->file) {
		file = mp_file_like(h->sock);
		if (IS_ERR(file)) {
			put_unused_fd(fd);
			return PTR_ERR(file);
		}
		mp_move(h, file);
	}
	h->has_descriptor = true;
	fd_install(fd, get_file(h->file));
	return fd;
}

/* ------------------------------------------------------------- the module's */

int mp_lwsockets_init(void)
{
	slab_flags_t flags = SLAB_ACCOUNT | SLAB_TYPESAFE_BY_RCU |
			     SLAB_HWCACHE_ALIGN;

#if LINUX_VERSION_CODE >= MP_CHARGES_LATER && defined(CONFIG_MEMCG)
	if (!mp_lwsocket_file)
		pr_notice(
			"lwsockets have files: else this kernel would charge their memory to nobody\n");
	mp_lwsocket_file = true;
#endif
	mp_lwsocket_cache = kmem_cache_create("megapipe_lwsocket",
					      sizeof(struct mp_lwsocket), 0,
					      flags, mp_construct);
	return mp_lwsocket_cache ? 0 : -ENOMEM;
}

void mp_lwsockets_exit(void)
{
	/* late wake-ups run our code */
	synchronize_rcu();
	kmem_cache_destroy(mp_lwsocket_cache);
}
