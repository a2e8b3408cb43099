// SPDX-License-Identifier: MIT
/*
 * Accepting: how many connections are wanted, as what, and from which accept
 * queues.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

/* --------------------------------------------------------------- arming */

static uint32_t lwsockets_left(const struct mp_channel *ch)
{
	uint32_t used = ch->stats.lwsockets + ch->lw_reserved;

	return used < ch->options.max_lwsockets ?
		       ch->options.max_lwsockets - used :
		       0;
}

/*
 * Accepting until told otherwise can take the queue's whole backlog, and what
 * comes meanwhile, before we see the first: that many lwsockets are reserved.
 */
static bool is_room_for_all(const struct mp__queue *q)
{
	return !q->handle->listener->is_lwsocket ||
	       lwsockets_left(q->handle->ch) > 2 * q->backlog;
}

/*
 * Mostly, only a queue of our own may be accepted from that way. Where the
 * kernel wakes one of those who wait at a shared queue, always the one who came
 * first, he would get all connections. Who asks for one at a time goes to the
 * end of the line.
 */
static bool can_be_multi(const struct mp__queue *q)
{
	const struct mp__listener *l = q->handle->listener;

	return (q->is_own || q->handle->ch->engine->is_fair) &&
	       l->wanted == MP_ACCEPT_ALL && is_room_for_all(q);
}

static void arm_one(struct mp__queue *q)
{
	struct mp_handle *handle = q->handle;
	uint32_t reserved = q->multi ? 2 * q->backlog : 1;

	if (handle->listener->is_lwsocket) {
		q->reserved += reserved;
		handle->ch->lw_reserved += reserved;
	}
	q->armed++;
	handle->in_flight++;
	handle->ch->engine->accept(q);
}

/* At a shared queue an engine waits with several requests, for throughput. */
static uint32_t depth(const struct mp__queue *q)
{
	uint32_t wanted = q->handle->listener->wanted;
	uint32_t most = q->multi ? 1 : q->handle->ch->engine->accepts;

	return wanted < most ? wanted : most;
}

static void arm(struct mp__queue *q)
{
	struct mp__listener *l = q->handle->listener;

	if (q->stopping)
		return;
	if (!q->armed)
		q->multi = can_be_multi(q);
	while (q->armed < depth(q)) {
		if (l->is_lwsocket && !lwsockets_left(q->handle->ch)) {
			l->is_paused = true;
			return;
		}
		arm_one(q);
	}
}

static void arm_all(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;

	if (handle->state != MP__OPEN || !l->wanted)
		return;
	for (unsigned int i = 0; i < l->nqueues; i++)
		arm(&l->queues[i]);
}

static void disarm(struct mp__queue *q)
{
	uint32_t reserved = q->multi ? q->reserved : !!q->reserved;

	q->armed--;
	q->handle->in_flight--;
	q->reserved -= reserved;
	q->handle->ch->lw_reserved -= reserved;
	if (!q->armed)
		q->stopping = false;
}

static void stop(struct mp__queue *q)
{
	if (!q->armed || q->stopping)
		return;
	q->stopping = true;
	q->handle->ch->engine->accept_stop(q);
}

void mp__listener_stop(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;

	l->wanted = 0;
	l->is_paused = false;
	for (unsigned int i = 0; i < l->nqueues; i++)
		stop(&l->queues[i]);
}

/* An lwsocket was closed. */
void mp__accept_resume(struct mp_channel *ch)
{
	struct mp_handle *handle;

	LIST_FOREACH (handle, &ch->listeners, listener->link) {
		if (!handle->listener->is_paused)
			continue;
		handle->listener->is_paused = false;
		arm_all(handle);
	}
}

/* ------------------------------------------------------------ accepted */

static void deliver(struct mp_handle *handle, struct mp__op *op)
{
	if (op->result >= 0)
		handle->undelivered++;
	mp__deliver(op);
}

static void one_less_wanted(struct mp__listener *l)
{
	if (l->wanted && l->wanted != MP_ACCEPT_ALL)
		l->wanted--;
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

	if (op->early && handle->state != MP__CLOSING)
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
	handle->in_flight++;
	return true;
}

void mp__accept_named(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;

	handle->in_flight--;
	keep_or_deliver(op);
	if (!handle->in_flight)
		mp__lane_run(handle, &handle->wr);
}

static void report(struct mp__queue *q, int result)
{
	struct mp_handle *handle = q->handle;
	struct mp__op *op = mp__op_new(handle, MP_ACCEPT);

	if (!op) {
		if (result >= 0)
			discard(handle->ch, result);
		return;
	}
	op->result = result;
	if (result < 0) {
		deliver(handle, op);
		return;
	}
	op->early = !is_wanted(handle);
	if (!op->early)
		one_less_wanted(handle->listener);
	if (!name_peer(q, op))
		keep_or_deliver(op);
}

static bool is_passing(int error)
{
	switch (error) {
	case -EAGAIN:
	case -EINTR:
	case -ECANCELED:
	case -ECONNABORTED:
	case -EPROTO:
		return true;
	default:
		return false;
	}
}

/* More lwsockets could come than there are: go on one by one. */
static bool is_tight(const struct mp__queue *q)
{
	const struct mp_channel *ch = q->handle->ch;

	return q->armed && q->multi && q->reserved &&
	       ch->stats.lwsockets + ch->lw_reserved >
		       ch->options.max_lwsockets;
}

/* ------------------------------------------------------------- closing */

/*
 * What waits in a clone is reset when the clone is closed: it is accepted
 * before. The socket itself may have other owners, who go on accepting; but
 * where the kernel wakes only one of those who wait at it for a connection, who
 * leaves may have been the one: what is there when he leaves is his, or it
 * would wait for the next connection's wake-up.
 */
#define DRAINS_MAX 16

static bool can_drain(const struct mp__queue *q)
{
	const struct mp_channel *ch = q->handle->ch;

	const struct mp__listener *l = q->handle->listener;

	return (q->is_clone || ch->engine->wakes_one) && !q->is_drained &&
	       l->was_asked && q->handle->state == MP__CLOSING &&
	       (!l->is_lwsocket || lwsockets_left(ch));
}

static void drain(struct mp__queue *q)
{
	q->draining = true;
	q->drains++;
	q->multi = is_room_for_all(q);
	arm_one(q);
}

static bool has_connections(const struct mp__queue *q)
{
	struct pollfd pfd = { .fd = q->fd, .events = POLLIN };

	q->handle->ch->stats.crossings++;
	return poll(&pfd, 1, 0) == 1 && pfd.revents == POLLIN;
}

/* Until there is nothing left (-EAGAIN, -ECANCELED), or it fails. */
static void go_on_draining(struct mp__queue *q, int result)
{
	if (result < 0)
		q->is_drained = q->is_clone || q->drains >= DRAINS_MAX ||
				!has_connections(q);
	if (can_drain(q))
		drain(q);
}

/* True: there may be connections, so closing has to wait. */
bool mp__listener_drain(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;
	bool is_waiting = false;

	for (unsigned int i = 0; l && i < l->nqueues; i++) {
		if (!can_drain(&l->queues[i]))
			continue;
		drain(&l->queues[i]);
		is_waiting = true;
	}
	return is_waiting;
}

/* The engine has a connection, or can't go on; more: it goes on. */
void mp__accepted(struct mp__queue *q, int result, bool more)
{
	struct mp_handle *handle = q->handle;
	struct mp__listener *l = handle->listener;

	if (!more)
		disarm(q);
	if (result >= 0) {
		handle->ch->stats.accepted++;
		result = number(handle, result);
	}
	/* Of several requests that fail, one tells. */
	if (result >= 0 || (!is_passing(result) && l->wanted))
		report(q, result);
	if (result < 0 && !is_passing(result)) {
		mp__listener_stop(handle);
	} else if (is_tight(q)) {
		stop(q);
	}
	if (q->draining && !q->armed)
		go_on_draining(q, result);
	if (handle->state == MP__OPEN && l->wanted)
		arm(q);
	if (!handle->in_flight)
		mp__lane_run(handle, &handle->wr);
}

/* ----------------------------------------------------------- listeners */

static int single_queue(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;

	l->queues = mp__tagged_new(sizeof(*l->queues));
	if (!l->queues)
		return -ENOMEM;
	mp__queue_add(handle, handle->fd, mp__backlog(handle->fd));
	return 0;
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
	free(l->queues);
	free(l);
}

static void deliver_early(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;
	struct mp__op *op;

	while (is_wanted(handle) && (op = STAILQ_FIRST(&l->early))) {
		STAILQ_REMOVE_HEAD(&l->early, link);
		one_less_wanted(l);
		deliver(handle, op);
	}
}

/* Who closes is told of what has been accepted by then. */
void mp__listener_close(struct mp_handle *handle)
{
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
	    (handle->in_flight || !STAILQ_EMPTY(&l->early)))
		return -EBUSY;
	if (count) {
		l->is_lwsocket = is_lwsocket;
		l->was_asked = true;
	}
	want(l, count);
	if (l->wanted) {
		deliver_early(handle);
		arm_all(handle);
	} else {
		mp__listener_stop(handle);
	}
	return mp__push(handle->ch);
}
