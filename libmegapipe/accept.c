// SPDX-License-Identifier: MIT
/*
 * Accepting: how many connections are wanted, as what, and from which accept
 * queues.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.h"

/* A shortage is told of not more often than this. */
#define TELL_AGAIN_US 1000000

void mp__listener_stop(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;

	l->wanted = 0;
	mp__queues_count(handle);
	for (unsigned int i = 0; i < l->nqueues; i++)
		mp__queue_stop(l->queues[i]);
}

/*
 * One connection as a descriptor, from a listening socket that doesn't block;
 * its peer's name comes along for nothing. No point of cancellation, as
 * mp__fd_close().
 */
int mp__accept4(struct mp__queue *q)
{
	struct mp_channel *ch = q->handle->ch;
	bool is_named = ch->options.accept_peer;
	int fd;

	q->peer_len = is_named ? sizeof(q->peer) : 0;
	ch->stats.crossings++;
	mp__fds_hold(ch);
	fd = syscall(SYS_accept4, q->fd, is_named ? &q->peer : NULL,
		     is_named ? &q->peer_len : NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		mp__fd_own(fd);
	else
		fd = -errno;
	mp__fds_let(ch);
	return fd;
}

/* ------------------------------------------------------------ accepted */

static void deliver(struct mp_handle *handle, struct mp__op *op)
{
	if (op->result >= 0)
		handle->undelivered++;
	mp__deliver(op);
}

static void one_less_wanted(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;

	if (l->wanted && l->wanted != MP_ACCEPT_ALL && !--l->wanted)
		mp__listener_stop(handle);
}

/* What mp_accept() returns, or -errno. */
static int number(struct mp_handle *handle, int result)
{
	struct mp_channel *ch = handle->ch;
	int slot, fd = result;

	if (!handle->listener->is_lwsocket || !ch->is_direct)
		mp__fd_own(fd);
	if (!handle->listener->is_lwsocket)
		return result;
	slot = ch->is_direct ? mp__lwsocket_adopt(handle, result) :
			       mp__lwsocket_hide(handle, result);
	if (slot < 0 && !ch->is_direct)
		mp__fd_close(ch, fd);
	return slot < 0 ? slot : slot + MP_LWSOCKET_BASE;
}

static void discard(struct mp_channel *ch, int id)
{
	if (id >= MP_LWSOCKET_BASE)
		mp__lwsocket_close(ch, id - MP_LWSOCKET_BASE);
	else
		mp__fd_close(ch, id);
}

/* Nobody can be told of this connection any more. */
void mp__accepted_discard(struct mp__op *op)
{
	discard(op->handle->ch, op->result);
	mp__op_free(op);
}

/* Asked for; or the last ones, for whoever closes is told of them, too. */
static bool is_wanted(const struct mp_handle *handle)
{
	return handle->listener->wanted || handle->state == MP__CLOSING;
}

static void keep_or_deliver(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;

	/* by now, what nobody asked for may be asked for */
	if (op->early && is_wanted(handle)) {
		op->early = false;
		one_less_wanted(handle);
	}
	if (op->early)
		STAILQ_INSERT_TAIL(&handle->listener->early, op, link);
	else if (handle->state == MP__DROPPING)
		mp__accepted_discard(op);
	else
		deliver(handle, op);
}

/* True: mp__accept_named() goes on when the engine knows it. */
static bool name_peer(struct mp__queue *q, struct mp__op *op)
{
	struct mp_handle *handle = q->handle;
	const struct mp__engine *engine = handle->ch->engine;

	op->addr_len = q->peer_len;
	memcpy(&op->addr, &q->peer, q->peer_len);
	if (q->peer_len || !handle->ch->options.accept_peer ||
	    !engine->name_peer || !engine->name_peer(op))
		return false;
	handle->listener->naming++;
	return true;
}

void mp__accept_named(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;

	handle->listener->naming--;
	keep_or_deliver(op);
	if (!mp__is_in_flight(handle))
		mp__lane_run(handle, &handle->wr);
}

/* The queue's engine has accepted it. */
void mp__accept_one(struct mp__queue *q, int fd)
{
	struct mp_handle *handle = q->handle;
	int id = number(handle, fd);
	struct mp__op *op;

	handle->ch->stats.accepted++;
	handle->ch->stats.accepts_stolen += q->is_foreign;
	handle->ch->retry_us = 0;
	if (id < 0) {
		mp__accept_failed(q, id);
		return;
	}
	op = mp__op_new(handle, MP_ACCEPT);
	if (!op) {
		handle->ch->stats.accept_failures++;
		discard(handle->ch, id);
		return;
	}
	op->result = id;
	op->early = !is_wanted(handle);
	if (!op->early)
		one_less_wanted(handle);
	if (!name_peer(q, op))
		keep_or_deliver(op);
}

void mp__accept_report(struct mp__queue *q, int error)
{
	struct mp__op *op = mp__op_new(q->handle, MP_ACCEPT);

	if (!op)
		return;
	op->result = error;
	deliver(q->handle, op);
}

/* Accepting will be tried again: so that a log has a line, and not many. */
void mp__accept_failed(struct mp__queue *q, int error)
{
	struct mp__listener *l = q->handle->listener;
	int64_t now_us = mp__now_us();

	if (!l->wanted || (l->told_us && now_us - l->told_us < TELL_AGAIN_US))
		return;
	l->told_us = now_us;
	mp__accept_report(q, error);
}

/* ----------------------------------------------------------- listeners */

static int single_queue(struct mp_handle *handle)
{
	return mp__queue_add(handle, handle->fd) ? 0 : -ENOMEM;
}

int mp__listener_new(struct mp_handle *handle, const cpu_set_t *cpu_mask)
{
	struct mp__listener *l;
	int listening = 0, ret;
	socklen_t len = sizeof(listening);

	if (handle->slot >= 0 ||
	    getsockopt(handle->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening,
		       &len) ||
	    !listening)
		return -EINVAL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	STAILQ_INIT(&l->early);
	len = sizeof(l->family);
	getsockopt(handle->fd, SOL_SOCKET, SO_DOMAIN, &l->family, &len);
	handle->listener = l;
	ret = cpu_mask ? mp__partition(handle, cpu_mask) : single_queue(handle);
	if (ret) {
		mp__queues_free(l);
		free(l);
		handle->listener = NULL;
		return ret;
	}
	LIST_INSERT_HEAD(&handle->ch->listeners, handle, listener->link);
	return 0;
}

/* Nobody asks for what was accepted early any more: it is closed. */
void mp__listener_free(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;
	struct mp__op *op;

	LIST_REMOVE(handle, listener->link);
	handle->listener = NULL;
	while ((op = STAILQ_FIRST(&l->early))) {
		STAILQ_REMOVE_HEAD(&l->early, link);
		mp__accepted_discard(op);
	}
	mp__partition_end(l);
	mp__queues_free(l);
	free(l);
}

static void deliver_early(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;
	struct mp__op *op;

	while (is_wanted(handle) && (op = STAILQ_FIRST(&l->early))) {
		STAILQ_REMOVE_HEAD(&l->early, link);
		one_less_wanted(handle);
		deliver(handle, op);
	}
}

/* Who closes is told of what has been accepted by then. */
void mp__listener_close(struct mp_handle *handle)
{
	mp__balance_unshare(handle->listener);
	mp__listener_stop(handle);
	deliver_early(handle);
}

static void want(struct mp__listener *l, uint32_t count)
{
	if (!count || count > MP_ACCEPT_ALL - l->wanted)
		l->wanted = count ? MP_ACCEPT_ALL : 0;
	else
		l->wanted += count;
}

static void arm_all(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;

	mp__queues_count(handle);
	for (unsigned int i = 0; i < l->nqueues; i++)
		mp__queue_arm(l->queues[i]);
	mp__balance_begin(handle);
}

int mp_accept(struct mp_handle *handle, uint32_t count, bool is_lwsocket)
{
	struct mp__listener *l;
	int ret = mp__check(handle);

	if (ret)
		return ret;
	if (!handle->listener) {
		ret = mp__listener_new(handle, NULL);
		if (ret)
			return ret;
	}
	l = handle->listener;
	if (count && l->is_lwsocket != is_lwsocket &&
	    (l->wanted || l->accepts || l->naming || !STAILQ_EMPTY(&l->early)))
		return -EBUSY;
	if (count) {
		l->is_lwsocket = is_lwsocket;
		l->was_asked = true;
	}
	want(l, count);
	if (l->wanted)
		deliver_early(handle);
	if (l->wanted)
		arm_all(handle);
	else
		mp__listener_stop(handle);
	return mp__push(handle->ch);
}
