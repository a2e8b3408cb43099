// SPDX-License-Identifier: MIT
/*
 * Accept queues: what the engine waits with at each, and who takes lwsockets
 * when there are few.
 *
 * An accept that is armed may take a connection before the channel knows of it:
 * an lwsocket is reserved for each. An accept of any number takes as many as
 * the engine can before it reports; but all of them together not more, so that
 * the reservation is one for all such queues.
 *
 * With fewer lwsockets than that, queues wait with single accepts. With fewer
 * than queues, they wait by poll, which reserves nothing: a queue that has a
 * connection stands in line for an lwsocket, and takes one connection each time
 * that it is first. So whatever their number, none is deaf while an lwsocket is
 * free, and all have an equal share of what is freed. Queues of a handle that
 * wants a certain number of connections wait like that, too: more may not be
 * taken than are wanted, and at which queue they will be nobody knows.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "engine.h"

/* Between attempts to accept when descriptors or memory are short. */
#define RETRY_MIN_US 10000
#define RETRY_MAX_US 100000

/* --------------------------------------------------------------- states */

#define BIT(state) (1u << MP__QUEUE_##state)

/* From each state to which others. */
static const unsigned int next_states[] = {
	[MP__QUEUE_IDLE] = BIT(ACCEPTING) | BIT(POLLING) | BIT(DRAINING) |
			   BIT(TAKING),
	[MP__QUEUE_ACCEPTING] = BIT(IDLE) | BIT(STOPPING) | BIT(FAILING),
	[MP__QUEUE_POLLING] = BIT(IDLE) | BIT(READY) | BIT(STOPPING) |
			      BIT(FAILING),
	[MP__QUEUE_READY] = BIT(IDLE) | BIT(IN_LINE) | BIT(TAKING),
	[MP__QUEUE_IN_LINE] = BIT(IDLE) | BIT(READY),
	[MP__QUEUE_TAKING] = BIT(IDLE) | BIT(FAILING),
	[MP__QUEUE_STOPPING] = BIT(IDLE),
	[MP__QUEUE_FAILING] = BIT(STOPPING) | BIT(FAILED),
	[MP__QUEUE_FAILED] = BIT(IDLE),
	[MP__QUEUE_DRAINING] = BIT(DRAINING) | BIT(DRAINED),
	[MP__QUEUE_DRAINED] = 0,
};

static void become(struct mp__queue *q, enum mp__queue_state state)
{
	MP__ASSERT(next_states[q->state] & 1u << state);
	q->state = state;
}

static struct mp__listener *listener_of(const struct mp__queue *q)
{
	return q->handle->listener;
}

static bool is_over(const struct mp__queue *q)
{
	return !q->armed && !q->cancels;
}

/* ------------------------------------------------------------ lwsockets */

static uint32_t lwsockets_free(const struct mp_channel *ch)
{
	uint32_t used = ch->stats.lwsockets, max = ch->options.max_lwsockets;

	return used < max ? max - used : 0;
}

static uint32_t reserved(const struct mp_channel *ch)
{
	return ch->lw.reserved +
	       (ch->lw.multis ? ch->lw.multis + ch->accepts_ahead : 0);
}

/* So many connections it may take before the others get their turn. */
uint32_t mp__queue_share(const struct mp__queue *q)
{
	const struct mp_channel *ch = q->handle->ch;
	uint32_t all = ch->lw.own + ch->lw.shared, left = lwsockets_free(ch);

	if (!listener_of(q)->is_lwsocket)
		return UINT32_MAX;
	return left > all ? left / (all ? all : 1) : 1;
}

static bool can_reserve(const struct mp__queue *q, bool multi)
{
	const struct mp_channel *ch = q->handle->ch;
	uint32_t more = multi && !ch->lw.multis ? 1 + ch->accepts_ahead : 1;

	return !listener_of(q)->is_lwsocket ||
	       lwsockets_free(ch) >= reserved(ch) + more;
}

static void reserve(struct mp__queue *q, int sign)
{
	struct mp_channel *ch = q->handle->ch;

	listener_of(q)->accepts += sign;
	if (!listener_of(q)->is_lwsocket)
		return;
	if (q->multi)
		ch->lw.multis += sign;
	else
		ch->lw.reserved += sign;
}

/* ---------------------------------------------------------- requests */

static bool can_be_multi(const struct mp__queue *q)
{
	const struct mp__listener *l = listener_of(q);
	const struct mp_channel *ch = q->handle->ch;

	return mp__queue_suits_multi(q) && l->wanted == MP_ACCEPT_ALL &&
	       (!l->is_lwsocket || ch->lw.level == MP__LW_ANY) &&
	       can_reserve(q, true);
}

static bool is_finite(const struct mp__listener *l)
{
	return l->wanted != MP_ACCEPT_ALL;
}

static bool must_poll(const struct mp__queue *q)
{
	const struct mp__listener *l = listener_of(q);

	return (is_finite(l) && l->nqueues > 1) ||
	       (l->is_lwsocket && q->handle->ch->lw.level == MP__LW_BY_POLL) ||
	       !can_reserve(q, false);
}

/* At a shared queue an engine waits with several requests, for throughput. */
static uint32_t depth(const struct mp__queue *q)
{
	const struct mp__listener *l = listener_of(q);
	const struct mp_channel *ch = q->handle->ch;
	uint32_t most = q->multi ? 1 : ch->engine->accepts;

	if (l->is_lwsocket && ch->lw.level < MP__LW_SEVERAL)
		most = 1;
	return l->wanted < most ? l->wanted : most;
}

static void fail(struct mp__queue *q, int error);
static void ended(struct mp__queue *q);

static void disarm(struct mp__queue *q)
{
	MP__ASSERT(q->armed);
	q->armed--;
	listener_of(q)->requests--;
	if (!q->polls)
		reserve(q, -1);
}

/* One more request in the state that it is in. False: that has failed. */
static bool start(struct mp__queue *q)
{
	const struct mp__engine *engine = q->handle->ch->engine;
	int ret;

	q->armed++;
	listener_of(q)->requests++;
	if (!q->polls)
		reserve(q, 1);
	ret = q->polls ? engine->accept_poll(q) : engine->accept(q);
	if (!ret)
		return true;
	disarm(q);
	q->result = ret;
	fail(q, ret);
	if (is_over(q))
		ended(q);
	return false;
}

static void start_poll(struct mp__queue *q)
{
	become(q, MP__QUEUE_POLLING);
	q->polls = true;
	start(q);
}

static void start_accepts(struct mp__queue *q)
{
	while (q->armed < depth(q) && can_reserve(q, q->multi))
		if (!start(q))
			return;
}

void mp__queue_arm(struct mp__queue *q)
{
	if (q->handle->state != MP__OPEN || !listener_of(q)->wanted ||
	    q->is_foreign)
		return;
	if (q->state == MP__QUEUE_ACCEPTING) {
		/* when the single ones have ended, it can be one for all */
		if (!q->multi && !can_be_multi(q))
			start_accepts(q);
		return;
	}
	if (q->state != MP__QUEUE_IDLE)
		return;
	if (must_poll(q)) {
		start_poll(q);
		return;
	}
	q->polls = false;
	q->multi = can_be_multi(q);
	become(q, MP__QUEUE_ACCEPTING);
	start_accepts(q);
}

/* -------------------------------------------------- one by one, by turns */

static void get_in_line(struct mp__queue *q)
{
	struct mp_channel *ch = q->handle->ch;

	become(q, MP__QUEUE_IN_LINE);
	TAILQ_INSERT_TAIL(&ch->lw.line, q, link);
	ch->stats.accepts_paused++;
	if (!lwsockets_free(ch))
		ch->stats.lwsocket_waits++;
}

static void leave_line(struct mp__queue *q)
{
	TAILQ_REMOVE(&q->handle->ch->lw.line, q, link);
	q->handle->ch->stats.accepts_paused--;
}

/* All that are wanted may be on their way. */
static bool is_enough(const struct mp__listener *l)
{
	return !l->wanted || (is_finite(l) && l->accepts >= l->wanted);
}

static void start_taking(struct mp__queue *q)
{
	become(q, MP__QUEUE_TAKING);
	q->polls = false;
	q->multi = false;
	start(q);
}

/* A queue that is ready takes one connection, if it may. */
static void take(struct mp__queue *q)
{
	if (is_enough(listener_of(q)))
		return;
	if (can_reserve(q, false))
		start_taking(q);
	else
		get_in_line(q);
}

/* May a foreign one, out of turn? */
bool mp__queue_can_take(const struct mp__queue *q)
{
	return q->state == MP__QUEUE_IDLE && q->handle->state == MP__OPEN &&
	       !is_enough(listener_of(q)) && can_reserve(q, false);
}

void mp__queue_take(struct mp__queue *q)
{
	start_taking(q);
}

/* The others that are ready, the next one first. */
static void take_next(struct mp__queue *q)
{
	struct mp__listener *l = listener_of(q);

	for (unsigned int i = 1; i <= l->nqueues; i++) {
		struct mp__queue *other =
			l->queues[(q->index + i) % l->nqueues];

		if (other->state == MP__QUEUE_READY)
			take(other);
	}
}

static void serve_line(struct mp_channel *ch)
{
	struct mp__queue *q;

	while ((q = TAILQ_FIRST(&ch->lw.line)) && can_reserve(q, false)) {
		leave_line(q);
		become(q, MP__QUEUE_READY);
		take(q);
	}
}

/* -------------------------------------------------------------- stopping */

static void stop_requests(struct mp__queue *q, enum mp__queue_state state)
{
	become(q, state);
	q->handle->ch->engine->accept_stop(q);
}

void mp__queue_stop(struct mp__queue *q)
{
	switch (q->state) {
	case MP__QUEUE_ACCEPTING:
	case MP__QUEUE_POLLING:
		if (q->armed)
			stop_requests(q, MP__QUEUE_STOPPING);
		break;
	case MP__QUEUE_FAILING:
		become(q, MP__QUEUE_STOPPING);
		break;
	case MP__QUEUE_IN_LINE:
		leave_line(q);
		become(q, MP__QUEUE_IDLE);
		break;
	case MP__QUEUE_FAILED:
		TAILQ_REMOVE(&q->handle->ch->failed, q, link);
		/* fall through */
	case MP__QUEUE_READY:
		become(q, MP__QUEUE_IDLE);
		break;
	default: /* nothing is armed, or it ends by itself */
		break;
	}
}

/* --------------------------------------------------------------- levels */

/* So many lwsockets must be free for all queues to wait like that. */
static uint32_t needed(const struct mp_channel *ch, enum mp__lw_level level)
{
	uint32_t all = ch->lw.own + ch->lw.shared;

	switch (level) {
	case MP__LW_ANY:
		return (ch->lw.own ? ch->lw.own + ch->accepts_ahead : 0) +
		       ch->lw.shared * ch->engine->accepts;
	case MP__LW_SEVERAL:
		return all * ch->engine->accepts;
	case MP__LW_ONE:
		return all;
	default:
		return 0;
	}
}

/* ... and some more to come back to it, lest they change their ways often. */
static uint32_t needed_again(const struct mp_channel *ch,
			     enum mp__lw_level level)
{
	uint32_t least = needed(ch, level);

	return least + least / 4 + ch->lw.own + ch->lw.shared;
}

static enum mp__lw_level best_level(const struct mp_channel *ch)
{
	uint32_t left = lwsockets_free(ch);

	for (enum mp__lw_level l = MP__LW_ANY; l > MP__LW_BY_POLL; l--)
		if (left >=
		    (l > ch->lw.level ? needed_again(ch, l) : needed(ch, l)))
			return l;
	return MP__LW_BY_POLL;
}

static void give_back(struct mp__queue *q)
{
	enum mp__lw_level level = q->handle->ch->lw.level;

	if (q->state == MP__QUEUE_ACCEPTING &&
	    (level == MP__LW_BY_POLL || q->armed > depth(q) ||
	     (q->multi && level < MP__LW_ANY)))
		mp__queue_stop(q);
}

/* Queues come to a higher level when they are armed anew. */
static void lower(struct mp_channel *ch)
{
	struct mp_handle *handle;

	LIST_FOREACH (handle, &ch->listeners, listener->link)
		for (unsigned int i = 0; i < handle->listener->nqueues; i++)
			if (handle->listener->is_lwsocket)
				give_back(handle->listener->queues[i]);
}

/* How far the number of free lwsockets may go without another level. */
static void set_bounds(struct mp_channel *ch)
{
	ch->lw.low = needed(ch, ch->lw.level);
	ch->lw.high = UINT32_MAX;
	for (enum mp__lw_level l = ch->lw.level + 1; l <= MP__LW_ANY; l++)
		if (needed_again(ch, l) < ch->lw.high)
			ch->lw.high = needed_again(ch, l);
}

static bool is_out_of_bounds(const struct mp_channel *ch)
{
	uint32_t left = lwsockets_free(ch);

	return left < ch->lw.low || left >= ch->lw.high;
}

static void adapt(struct mp_channel *ch)
{
	enum mp__lw_level before = ch->lw.level;

	ch->lw.level = best_level(ch);
	set_bounds(ch);
	if (ch->lw.level < before)
		lower(ch);
}

static void count(const struct mp__queue *q, int sign)
{
	struct mp_channel *ch = q->handle->ch;

	if (mp__queue_suits_multi(q))
		ch->lw.own += sign;
	else
		ch->lw.shared += sign;
}

/* A listener begins or ends to want lwsockets. */
void mp__queues_count(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;
	struct mp_channel *ch = handle->ch;
	bool counts = handle->state == MP__OPEN && l->wanted && l->is_lwsocket;

	if (counts == l->is_counted)
		return;
	l->is_counted = counts;
	for (unsigned int i = 0; i < l->nqueues; i++)
		count(l->queues[i], counts ? 1 : -1);
	adapt(ch);
}

/*
 * The handle's latest queue accepts, too, if others do. One that was alone may
 * have asked for all that are wanted: now it has to wait with the others.
 */
void mp__queue_join(struct mp__queue *q)
{
	struct mp__listener *l = listener_of(q);

	if (l->is_counted) {
		count(q, 1);
		adapt(q->handle->ch);
	}
	for (unsigned int i = 0; is_finite(l) && i < q->index; i++)
		if (l->queues[i]->state == MP__QUEUE_ACCEPTING)
			mp__queue_stop(l->queues[i]);
	mp__queue_arm(q);
}

/* -------------------------------------------------------------- failures */

static void retry(struct mp__queue *q)
{
	TAILQ_REMOVE(&q->handle->ch->failed, q, link);
	become(q, MP__QUEUE_IDLE);
	mp__queue_arm(q);
}

void mp__accept_retry(struct mp__timer *timer)
{
	struct mp_channel *ch = MP__CONTAINER(timer, struct mp_channel, retry);
	struct mp__queue *q;
	uint32_t count = 0;

	TAILQ_FOREACH (q, &ch->failed, link)
		count++;
	/* Who fails again waits for the next time; or others go, with it. */
	while (count-- && (q = TAILQ_FIRST(&ch->failed)))
		retry(q);
}

static void retry_later(struct mp__queue *q)
{
	struct mp_channel *ch = q->handle->ch;
	uint32_t us = ch->retry_us ? ch->retry_us : RETRY_MIN_US;

	become(q, MP__QUEUE_FAILED);
	TAILQ_INSERT_TAIL(&ch->failed, q, link);
	if (ch->retry.ch)
		return;
	mp__timer_set(ch, &ch->retry, us);
	ch->retry_us = 2 * us < RETRY_MAX_US ? 2 * us : RETRY_MAX_US;
}

/* One connection less, or none: nothing is wrong with the queue. */
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

/* It works again when there is more of what is short, or a rule is changed. */
static bool is_temporary(int error)
{
	switch (error) {
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
	case -ENOSPC:	/* epoll: fs.epoll.max_user_watches */
	case -EPERM:	/* a firewall's rule */
	case -ENETDOWN: /* these are the connection's, says accept(2) */
	case -ENOPROTOOPT:
	case -EHOSTDOWN:
	case -ENONET:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return true;
	default:
		return false;
	}
}

static void fail(struct mp__queue *q, int error)
{
	/* another channel's queue is not ours to fail */
	if (is_passing(error) || q->is_foreign)
		return;
	if (!is_temporary(error)) {
		/* Of several requests that fail, one tells. */
		if (listener_of(q)->wanted)
			mp__accept_report(q, error);
		mp__listener_stop(q->handle);
		return;
	}
	q->handle->ch->stats.accept_failures++;
	if (!listener_of(q)->wanted) /* stopped, or closing: it just ends */
		return;
	switch (q->state) {
	case MP__QUEUE_ACCEPTING:
	case MP__QUEUE_POLLING:
	case MP__QUEUE_TAKING:
		mp__accept_failed(q, error);
		become(q, MP__QUEUE_FAILING);
		if (q->armed)
			q->handle->ch->engine->accept_stop(q);
		break;
	default:
		break;
	}
}

/* ----------------------------------------------------------- passing on */

static bool has_connections(const struct mp__queue *q)
{
	struct pollfd pfd = { .fd = q->fd, .events = POLLIN };

	q->handle->ch->stats.crossings++;
	return poll(&pfd, 1, 0) == 1 && pfd.revents == POLLIN;
}

/*
 * Of those who wait at a shared queue the kernel may have woken this one only,
 * whose accepts have ended without taking what it was woken for. To end the
 * writing side of a listening socket changes nothing (of UNIX sockets a flag
 * that nothing asks for), and wakes all who wait, in other processes, too: the
 * next worker may have a queue already that is this one's alone. Clones are in
 * no other process.
 */
static void pass_on(struct mp__queue *q)
{
	struct mp_channel *ch = q->handle->ch;

	if (!ch->engine->wakes_one || q->is_clone || !has_connections(q))
		return;
	ch->stats.crossings++;
	shutdown(q->fd, SHUT_WR);
}

/* ------------------------------------------------------------- draining */

/*
 * What waits in a queue of our own is reset when it is closed, now or perhaps
 * by another process that has it, too: it is accepted before. A shared socket
 * has other owners, who go on accepting.
 */
static bool can_drain(const struct mp__queue *q)
{
	return q->is_own && listener_of(q)->was_asked &&
	       q->handle->state == MP__CLOSING && can_reserve(q, false);
}

static void drain(struct mp__queue *q)
{
	const struct mp__listener *l = listener_of(q);

	become(q, MP__QUEUE_DRAINING);
	q->polls = false;
	q->multi = can_reserve(q, true) &&
		   (!l->is_lwsocket || q->handle->ch->lw.level == MP__LW_ANY);
	start(q);
}

/* Until there is nothing left (-EAGAIN, -ECANCELED), or it fails. */
static void go_on_draining(struct mp__queue *q)
{
	if (q->result >= 0 && can_drain(q)) {
		drain(q);
		return;
	}
	become(q, MP__QUEUE_DRAINED);
	pass_on(q);
}

/* True: there may be connections, so closing has to wait. */
bool mp__queues_drain(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;

	for (unsigned int i = 0; l && i < l->nqueues; i++)
		if (l->queues[i]->state == MP__QUEUE_IDLE &&
		    can_drain(l->queues[i]))
			drain(l->queues[i]);
	return l && l->requests;
}

/* ------------------------------------------------ what the engine reports */

/* The engine has nothing of the queue's any more. */
static void ended(struct mp__queue *q)
{
	/* others may have waited for its accepts, taken by turns or not */
	bool was_taking = q->state == MP__QUEUE_TAKING ||
			  (q->state == MP__QUEUE_STOPPING && !q->polls);
	bool has_given_up = q->result < 0 || mp__queue_is_ending(q);

	switch (q->state) {
	case MP__QUEUE_ACCEPTING:
	case MP__QUEUE_POLLING: /* that couldn't even begin */
	case MP__QUEUE_TAKING:
	case MP__QUEUE_STOPPING:
		become(q, MP__QUEUE_IDLE);
		break;
	case MP__QUEUE_FAILING:
		retry_later(q);
		was_taking = true;
		break;
	case MP__QUEUE_DRAINING:
		go_on_draining(q);
		return;
	default:
		return;
	}
	if (has_given_up && !q->polls)
		pass_on(q);
	if (was_taking)
		take_next(q);
}

/* There is a connection, or an error that accepting will tell. */
static void polled(struct mp__queue *q, int result)
{
	if (q->state != MP__QUEUE_POLLING)
		return;
	if (result < 0) {
		fail(q, result);
		if (q->state == MP__QUEUE_POLLING)
			become(q, MP__QUEUE_IDLE);
		return;
	}
	become(q, MP__QUEUE_READY);
	take(q);
}

static void settle(struct mp__queue *q)
{
	struct mp_handle *handle = q->handle;

	if (is_over(q))
		ended(q);
	if (is_out_of_bounds(handle->ch))
		adapt(handle->ch);
	mp__queue_arm(q);
	serve_line(handle->ch);
	if (!mp__is_in_flight(handle))
		mp__lane_run(handle, &handle->wr);
}

/* A connection, an error, or what a poll tells; more: the request goes on. */
void mp__accepted(struct mp__queue *q, int result, bool more)
{
	bool polls = q->polls;

	if (!more) {
		disarm(q);
		q->result = result;
	}
	if (polls)
		polled(q, result);
	else if (result >= 0)
		mp__accept_one(q, result);
	else
		fail(q, result);
	settle(q);
}

/*
 * What accept_stop() asked for is done. What ended before it has been reported
 * already: fewer found than are armed, and some were about to be tried again.
 */
void mp__accept_canceled(struct mp__queue *q, int found)
{
	q->cancels--;
	listener_of(q)->requests--;
	if (found < (int)q->armed &&
	    (mp__queue_is_ending(q) || mp__queue_is_nowait(q)))
		q->handle->ch->engine->accept_stop(q);
	settle(q);
}

/* A descriptor or an lwsocket was closed. */
void mp__accept_freed(struct mp_channel *ch)
{
	if (is_out_of_bounds(ch))
		adapt(ch);
	serve_line(ch);
	if (!TAILQ_EMPTY(&ch->failed))
		retry(TAILQ_FIRST(&ch->failed));
}
