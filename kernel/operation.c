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
static bool mp_tell(struct mp_handle *h, struct mp_lane *lane)
{
	struct megapipe_completion c = {
		.result = lane->done,
		.op = lane->op,
		.info = lane->info,
	};

	if (!mp_has_room(h->ch))
		return false;
	mp_disk_settle(h, lane);
	mp_disk_free(lane);
	lane->state = MP_IDLE;
	mp_complete(h, &c);
	return true;
}

static bool mp_finish(struct mp_handle *h, struct mp_lane *lane, s64 result,
		      u32 info)
{
	if (lane->state == MP_NEW)
		h->ch->stats.immediate++;
	lane->done = result;
	lane->info = info;
	lane->state = MP_DONE;
	return mp_tell(h, lane);
}

/*
 * A socket's error goes to whoever asks first. Others, who wait at the same
 * time or come after, are to learn why, too.
 */
static s64 mp_latch_error(struct mp_handle *h, enum mp_lane_nr nr, s64 result)
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

static s64 mp_try(struct mp_handle *h, struct mp_lane *lane, u32 *info)
{
	if (!h->sock && !h->file)
		return -ENOTCONN;
	switch (lane->op) {
	case MEGAPIPE_OP_READ:
		return mp_try_read(h, lane);
	case MEGAPIPE_OP_RECV:
		return mp_try_recv(h, lane, info);
	case MEGAPIPE_OP_RECVMSG:
		return mp_try_recvmsg(h, lane);
	case MEGAPIPE_OP_WRITE:
		return mp_try_write(h, lane);
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

static bool mp_try_lane(struct mp_handle *h, int nr)
{
	struct mp_lane *lane = &h->lanes[nr];
	u32 info = 0;
	s64 ret = mp_try(h, lane, &info);

	if (ret == -EAGAIN && mp_is_ready_now(h, nr, &ret) && ret == -EAGAIN)
		ret = mp_try(h, lane, &info);
	if (ret == -EAGAIN) {
		lane->state = MP_WAITING;
		return true;
	}
	return mp_finish(h, lane, mp_latch_error(h, nr, ret), info);
}

/* False: it has had its turn, and there may be more. */
static bool mp_accept_lane(struct mp_handle *h)
{
	struct mp_lane *lane = &h->lanes[MP_READING];
	s64 error = 0;

	for (int i = 0; i < MP_ACCEPTS_A_TURN; i++) {
		struct megapipe_completion c = { .op = MEGAPIPE_OP_ACCEPT };
		int ret;

		if (!mp_has_room(h->ch))
			return false;
		ret = mp_try_accept(h, lane, &c);
		if (ret == -EAGAIN && !(lane->flags & MEGAPIPE_F_NOWAIT)) {
			if (mp_is_ready_now(h, MP_READING, &error) && !error)
				continue;
			lane->state = MP_WAITING;
			ret = error;
			if (!ret)
				return true;
		}
		if (ret)
			return mp_finish(h, lane, ret, 0);
		if (lane->len && !--lane->len)
			lane->state = MP_IDLE;
		else
			c.flags |= MEGAPIPE_C_MORE;
		mp_complete(h, &c);
		if (lane->state == MP_IDLE)
			return true;
	}
	return false;
}

/* ------------------------------------------------------------- a handle */

static bool mp_is_disk(const struct mp_handle *h)
{
	return h->kind == MEGAPIPE_KIND_DISK;
}

static bool mp_disk_lane(struct mp_handle *h, struct mp_lane *lane)
{
	mp_disk_start(h, lane);
	return lane->state == MP_WORKING || mp_tell(h, lane);
}

/* False: it isn't over with the lane, for want of room or of time. */
static bool mp_look_at_lane(struct mp_handle *h, int nr, __poll_t events)
{
	struct mp_lane *lane = &h->lanes[nr];
	/* of a worker, with the result */
	u8 state = smp_load_acquire(&lane->state);

	if (state == MP_IDLE || state == MP_WORKING)
		return true;
	if (state == MP_DONE)
		return mp_tell(h, lane);
	if (lane->canceled)
		return mp_finish(h, lane, -ECANCELED, 0);
	if (state == MP_WAITING && !(events & mp_lane_events(h, nr)))
		return true;
	if (lane->op == MEGAPIPE_OP_ACCEPT)
		return mp_accept_lane(h);
	if (mp_is_disk(h) && nr != MP_POLLING)
		return mp_disk_lane(h, lane);
	return mp_try_lane(h, nr);
}

/* When all its operations have ended, the file goes, then the handle. */
static void mp_close(struct mp_handle *h)
{
	struct megapipe_completion c = {
		.op = MEGAPIPE_OP_CLOSE,
		.cookie = h->cookie,
	};
	struct mp_channel *ch = h->ch;
	bool is_idle = true;

	for (int i = 0; i < MP_LANES; i++) {
		/* the worker is done with the file */
		u8 state = smp_load_acquire(&h->lanes[i].state);

		if (state == MP_WORKING)
			return;
		is_idle &= state == MP_IDLE;
	}
	mp_handle_let_go(h);
	if (!is_idle || !mp_has_room(ch)) {
		mp_todo(h);
		return;
	}
	c.result = h->close_result;
	mp_handle_end(h);
	mp_store(ch, &c);
}

/* Somebody has waited for what was seen since. */
static bool mp_was_woken(struct mp_handle *h)
{
	unsigned int wanted = 0;

	for (int i = 0; i < MP_LANES; i++)
		if (h->lanes[i].state == MP_WAITING)
			wanted |= (__force unsigned int)mp_lane_events(h, i);
	if (wanted != h->wanted) {
		WRITE_ONCE(h->wanted, wanted);
		/* against mp_wake(): we see its event, or it our want */
		smp_mb();
	}
	return atomic_read(&h->seen) & wanted;
}

/*
 * Try what there is to try. Events are taken before trying: what comes later
 * is seen at the end, or wakes us.
 */
void mp_look_at(struct mp_handle *h)
{
	bool is_over;

	do {
		unsigned int seen = 0;

		is_over = true;
		if (atomic_read(&h->seen))
			seen = atomic_xchg(&h->seen, 0);
		for (int i = 0; i < MP_LANES; i++)
			is_over &=
				mp_look_at_lane(h, i, (__force __poll_t)seen);
		if (!is_over) {
			/* some of it may not have been looked at */
			atomic_or(seen, &h->seen);
			mp_todo(h);
		}
	} while (is_over && mp_was_woken(h));
	if (h->is_closing)
		mp_close(h);
}
