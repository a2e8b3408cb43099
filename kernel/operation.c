// SPDX-License-Identifier: GPL-2.0
/*
 * Trying operations: at once, and again when the file tells that it is ready.
 */

#include "channel.h"

#define MP_GONE (EPOLLERR | EPOLLHUP)

static const __poll_t mp_events[MP_LANES] = {
	[MP_READING] = EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | MP_GONE,
	[MP_WRITING] = EPOLLOUT | EPOLLWRNORM | MP_GONE,
};

/* What makes it worth to try the lane's operation again. */
static __poll_t mp_lane_events(const struct mp_handle *h, int nr)
{
	__poll_t events;

	if (nr != MP_POLLING)
		return mp_events[nr];
	events = (__force __poll_t)h->lanes[nr].arg | MP_GONE;
	if (events & EPOLLIN)
		events |= EPOLLRDNORM;
	if (events & EPOLLOUT)
		events |= EPOLLWRNORM;
	return events;
}

/* ----------------------------------------------------------- completing */

/* False: there is no room for it now. */
static bool mp_tell(struct mp_handle *h, int nr)
{
	struct mp_lane *lane = &h->lanes[nr];
	struct megapipe_completion *c;

	if (!mp_has_room(h->ch))
		return false;
	if (lane->disk)
		mp_disk_end(h, lane);
	c = mp_completion(h, lane->op);
	c->result = lane->done;
	c->info = lane->info;
	lane->state = MP_IDLE;
	h->busy &= ~BIT(nr);
	return true;
}

static bool mp_finish(struct mp_handle *h, int nr, s64 result)
{
	struct mp_lane *lane = &h->lanes[nr];

	if (lane->state == MP_NEW)
		h->ch->stats.immediate++;
	lane->done = result;
	lane->state = MP_DONE;
	return mp_tell(h, nr);
}

/*
 * A socket's error goes to whoever asks first. Others, who wait at the same
 * time or come after, are to learn why, too.
 */
static s64 mp_latch_error(struct mp_handle *h, int nr, s64 result)
{
	bool is_error = result == -ECONNRESET || result == -ETIMEDOUT ||
			result == -EHOSTUNREACH || result == -ENETUNREACH;

	if (h->kind != MEGAPIPE_KIND_STREAM || !h->sock)
		return result;
	if (is_error) {
		h->error = result;
	} else if (h->error &&
		   (result == -EPIPE || (!result && nr == MP_READING))) {
		result = h->error;
		if (nr == MP_READING)
			h->error = 0;
	}
	return result;
}

/* --------------------------------------------------------------- trying */

static s64 mp_try_poll(struct mp_handle *h, const struct mp_lane *lane)
{
	__poll_t events = mp_poll(h);

	events &= (__force __poll_t)lane->arg | MP_GONE;
	return events ? (__force s64)events : -EAGAIN;
}

/* A connection that is made or failed is writable. */
static s64 mp_try_connect(struct mp_handle *h)
{
	if (!(mp_poll(h) & (EPOLLOUT | EPOLLWRNORM | MP_GONE)))
		return -EAGAIN;
	return sock_error(h->sock->sk);
}

static s64 mp_try(struct mp_handle *h, struct mp_lane *lane)
{
	if (!h->sock && !h->file)
		return -ENOTCONN;
	/* with retpolines, a switch is a chain of comparisons: these first */
	if (lane->op == MEGAPIPE_OP_RECV)
		return mp_try_recv(h, lane);
	if (lane->op == MEGAPIPE_OP_WRITE)
		return mp_try_write(h, lane);
	switch (lane->op) {
	case MEGAPIPE_OP_READ:
		return mp_try_read(h, lane);
	case MEGAPIPE_OP_RECVMSG:
		return mp_try_recvmsg(h, lane);
	case MEGAPIPE_OP_SENDMSG:
		return mp_try_sendmsg(h, lane);
	case MEGAPIPE_OP_POLL:
		return mp_try_poll(h, lane);
	case MEGAPIPE_OP_CONNECT:
		return mp_try_connect(h);
	default: /* MEGAPIPE_OP_DISCONNECT */
		return kernel_sock_shutdown(h->sock, lane->arg);
	}
}

/*
 * Would have blocked. From now on the file's wait queues tell us; true: it is
 * ready by now. Files that aren't TCP may want to be asked each time.
 */
static bool mp_is_ready_now(struct mp_handle *h, int nr, s64 *error)
{
	__poll_t events = 0;
	int ret;

	if (!h->file ||
	    (h->is_attached && h->sock && mp_is_plain_tcp(h->sock->sk)))
		return false;
	if (h->is_attached) {
		events = mp_poll(h);
	} else {
		ret = mp_attach(h, &events);
		if (ret) {
			*error = ret;
			return true;
		}
	}
	return events & mp_lane_events(h, nr);
}

/* False: there is no room for its result. */
static bool mp_try_lane(struct mp_handle *h, int nr)
{
	struct mp_lane *lane = &h->lanes[nr];
	s64 ret = mp_try(h, lane);

	if (ret == -EAGAIN && mp_is_ready_now(h, nr, &ret) && ret == -EAGAIN)
		ret = mp_try(h, lane);
	if (ret == -EAGAIN) {
		lane->state = MP_WAITING;
		return true;
	}
	if (unlikely(ret <= 0))
		ret = mp_latch_error(h, nr, ret);
	return mp_finish(h, nr, ret);
}

static void mp_tell_accepted(struct mp_handle *h, s64 result,
			     const struct megapipe_completion *peer)
{
	struct mp_lane *lane = &h->lanes[MP_READING];
	struct megapipe_completion *c;

	c = mp_completion(h, MEGAPIPE_OP_ACCEPT);
	if (lane->flags & MEGAPIPE_F_PEER) {
		c->flags = peer->flags;
		c->port = peer->port;
		c->info = peer->info;
		memcpy(c->addr, peer->addr, sizeof(c->addr));
	}
	c->result = result;
	if (lane->len && !--lane->len) {
		lane->state = MP_IDLE;
		h->busy &= ~BIT(MP_READING);
	} else {
		c->flags |= MEGAPIPE_C_MORE;
	}
}

/* False: it has had its turn, and there may be more. */
static bool mp_accept_lane(struct mp_handle *h)
{
	struct mp_lane *lane = &h->lanes[MP_READING];

	for (int i = 0; i < MP_ACCEPTS_A_TURN; i++) {
		struct megapipe_completion peer = {};
		s64 ret, error = -EAGAIN;

		if (!mp_has_room(h->ch))
			return false;
		ret = mp_try_accept(h, &peer);
		if (ret == -EAGAIN && !(lane->flags & MEGAPIPE_F_NOWAIT)) {
			bool is_ready = mp_is_ready_now(h, MP_READING, &error);

			if (is_ready && error == -EAGAIN)
				continue;
			if (!is_ready) {
				lane->state = MP_WAITING;
				return true;
			}
			ret = error;
		}
		if (ret < 0)
			return mp_finish(h, MP_READING, ret);
		mp_tell_accepted(h, ret, &peer);
		if (lane->state == MP_IDLE)
			return true;
	}
	return false;
}

/* ------------------------------------------------------------- a handle */

static bool mp_disk_lane(struct mp_handle *h, int nr)
{
	struct mp_lane *lane = &h->lanes[nr];

	mp_disk_start(h, lane);
	return lane->state == MP_WORKING || mp_tell(h, nr);
}

/* False: it isn't over with the lane, for want of room or of time. */
static bool mp_look_at_lane(struct mp_handle *h, int nr, __poll_t events)
{
	struct mp_lane *lane = &h->lanes[nr];
	/* of a worker, with the result */
	u8 state = smp_load_acquire(&lane->state);

	if (state == MP_WORKING)
		return true;
	if (state == MP_DONE)
		return mp_tell(h, nr);
	if (lane->canceled)
		return mp_finish(h, nr, -ECANCELED);
	if (state == MP_WAITING && !(events & mp_lane_events(h, nr)))
		return true;
	if (lane->op == MEGAPIPE_OP_ACCEPT)
		return mp_accept_lane(h);
	if (h->kind == MEGAPIPE_KIND_DISK)
		return mp_disk_lane(h, nr);
	return mp_try_lane(h, nr);
}

/* When all its operations have ended, the file goes, then the handle. */
static void mp_close(struct mp_handle *h)
{
	struct megapipe_completion *c;

	for (int i = 0; i < MP_LANES; i++)
		/* the worker is done with the file */
		if (smp_load_acquire(&h->lanes[i].state) == MP_WORKING)
			return;
	mp_handle_let_go(h);
	if (h->busy || !mp_has_room(h->ch)) {
		mp_todo(h);
		return;
	}
	c = mp_completion(h, MEGAPIPE_OP_CLOSE);
	c->result = h->close_result;
	mp_handle_end(h);
}

/*
 * Somebody has waited for what was seen since. What nobody waits for any more
 * stays wanted until it comes once for nothing: mostly, it is wanted again
 * before.
 */
static bool mp_was_woken(struct mp_handle *h, bool was_for_nothing)
{
	unsigned int wanted = was_for_nothing ? 0 : h->wanted;

	for (int i = 0; i < MP_LANES; i++)
		if (h->lanes[i].state == MP_WAITING)
			wanted |= (__force unsigned int)mp_lane_events(h, i);
	if (wanted == h->wanted)
		return false;
	WRITE_ONCE(h->wanted, wanted);
	/* against mp_wake(): we see its event, or it our want */
	smp_mb();
	return atomic_read(&h->seen) & wanted;
}

/*
 * Try what there is to try. Events are taken before trying: what comes later
 * is seen at the end, or wakes us.
 */
void mp_look_at(struct mp_handle *h)
{
	bool is_over;
	u8 busy;

	do {
		unsigned int seen = 0;

		is_over = true;
		if (atomic_read(&h->seen))
			seen = atomic_xchg(&h->seen, 0);
		for (busy = h->busy; busy; busy &= busy - 1)
			is_over &= mp_look_at_lane(h, __ffs(busy),
						   (__force __poll_t)seen);
		if (!is_over) {
			/* some of it may not have been looked at */
			atomic_or(seen, &h->seen);
			mp_todo(h);
		}
	} while (is_over && mp_was_woken(h, !h->busy));
	if (h->is_closing)
		mp_close(h);
}

/* A new operation of one that may have others: these are left alone. */
void mp_begin(struct mp_handle *h, int nr)
{
	if (h->kind == MEGAPIPE_KIND_DISK ||
	    h->lanes[nr].op == MEGAPIPE_OP_ACCEPT)
		mp_look_at(h);
	else if (!mp_try_lane(h, nr))
		mp_todo(h);
	else if (h->busy & BIT(nr) && mp_was_woken(h, false))
		mp_look_at(h);
}
