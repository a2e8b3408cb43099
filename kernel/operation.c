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

static __always_inline void mp_tell(struct mp_handle *h, int nr,
				    struct mp_lane *lane, s64 result)
{
	struct megapipe_completion *c = mp_completion(h, lane->op);

	c->result = result;
	c->info = lane->info;
	lane->state = MP_IDLE;
	h->busy &= ~BIT(nr);
}

/* MP_DONE. False: there is no room for it now. */
static noinline bool mp_tell_done(struct mp_handle *h, int nr)
{
	struct mp_lane *lane = &h->lanes[nr];

	if (!mp_has_room(h->ch))
		return false;
	mp_tell(h, nr, lane, lane->done);
	return true;
}

/* False: there is no room for it now. */
static __always_inline bool mp_finish(struct mp_handle *h, int nr,
				      struct mp_lane *lane, s64 result)
{
	if (lane->state == MP_NEW)
		h->ch->stats.immediate++;
	if (unlikely(!mp_has_room(h->ch))) {
		lane->done = result;
		lane->state = MP_DONE;
		return false;
	}
	mp_tell(h, nr, lane, result);
	return true;
}

/*
 * A socket's error goes to whoever asks first. Others, who wait at the same
 * time or come after, are to learn why, too.
 */
static noinline s64 mp_latch_error(struct mp_handle *h, int nr, s64 result)
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
	if (!events && !(lane->flags & MEGAPIPE_F_NOWAIT))
		return -EAGAIN;
	return (__force s64)events;
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
 * The file would have blocked. From now on its wait queues tell us; 0: it is
 * ready by now, -EAGAIN: it isn't. Files that aren't TCP may want to be asked
 * each time.
 */
static int mp_await_file(struct mp_handle *h, int nr)
{
	__poll_t events = 0;
	int ret;

	if (h->is_attached && h->sock && mp_is_plain_tcp(h->sock->sk))
		return -EAGAIN;
	if (h->is_attached) {
		events = mp_poll(h);
	} else {
		ret = mp_attach(h, &events);
		if (ret)
			return ret;
	}
	return events & mp_lane_events(h, nr) ? 0 : -EAGAIN;
}

static noinline s64 mp_try_file_again(struct mp_handle *h, int nr)
{
	int ret = mp_await_file(h, nr);

	return ret ? ret : mp_try(h, &h->lanes[nr]);
}

/* False: there is no room for its result. */
static bool mp_try_lane(struct mp_handle *h, int nr)
{
	struct mp_lane *lane = &h->lanes[nr];
	s64 ret = mp_try(h, lane);

	/* an lwsocket's queue tells us anyway */
	if (ret == -EAGAIN && h->file)
		ret = mp_try_file_again(h, nr);
	if (ret == -EAGAIN) {
		lane->state = MP_WAITING;
		return true;
	}
	if (unlikely(ret <= 0))
		ret = mp_latch_error(h, nr, ret);
	return mp_finish(h, nr, lane, ret);
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
static noinline bool mp_accept_lane(struct mp_handle *h)
{
	struct mp_lane *lane = &h->lanes[MP_READING];

	for (int i = 0; i < MP_ACCEPTS_A_TURN; i++) {
		struct megapipe_completion peer = {};
		s64 ret;

		if (!mp_has_room(h->ch))
			return false;
		ret = mp_try_accept(h, &peer);
		if (ret == -EAGAIN && !(lane->flags & MEGAPIPE_F_NOWAIT)) {
			ret = h->file ? mp_await_file(h, MP_READING) : -EAGAIN;
			if (!ret)
				continue;
			if (ret == -EAGAIN) {
				lane->state = MP_WAITING;
				return true;
			}
		}
		if (ret < 0)
			return mp_finish(h, MP_READING, lane, ret);
		mp_tell_accepted(h, ret, &peer);
		if (lane->state == MP_IDLE)
			return true;
	}
	return false;
}

/* ------------------------------------------------------------- a handle */

static noinline bool mp_cancel_lane(struct mp_handle *h, int nr)
{
	return mp_finish(h, nr, &h->lanes[nr], -ECANCELED);
}

/* A write that comes before its cancel in the order of commands. */
static bool mp_is_untried_write(const struct mp_handle *h, int nr)
{
	return nr == MP_WRITING && h->lanes[nr].state == MP_NEW;
}

/* False: it isn't over with the lane, for want of room or of time. */
static bool mp_look_at_lane(struct mp_handle *h, int nr, __poll_t events)
{
	struct mp_lane *lane = &h->lanes[nr];

	if (lane->state == MP_DONE)
		return mp_tell_done(h, nr);
	/* without its file, a handle has nothing to try on */
	if (h->is_closed || (lane->canceled && !mp_is_untried_write(h, nr)))
		return mp_cancel_lane(h, nr);
	if (lane->state == MP_WAITING && !(events & mp_lane_events(h, nr)))
		return true;
	if (lane->op == MEGAPIPE_OP_ACCEPT)
		return mp_accept_lane(h);
	if (!mp_try_lane(h, nr))
		return false;
	return !lane->canceled || lane->state != MP_WAITING ||
	       mp_cancel_lane(h, nr);
}

/* When all its operations have ended, the file goes, then the handle. */
noinline void mp_close(struct mp_handle *h)
{
	struct megapipe_completion *c;

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
 * What is waited for. While there is an operation, what none waits for any more
 * stays wanted: mostly, one does again before it comes.
 */
static unsigned int mp_wanted(const struct mp_handle *h)
{
	unsigned int wanted = h->busy ? h->wanted : 0;
	u8 busy;

	for (busy = h->busy; busy; busy &= busy - 1) {
		int nr = __ffs(busy);

		if (h->lanes[nr].state == MP_WAITING)
			wanted |= (__force unsigned int)mp_lane_events(h, nr);
	}
	return wanted;
}

/* True: some of it was seen meanwhile. */
static bool mp_want(struct mp_handle *h, unsigned int wanted)
{
	if (wanted == h->wanted)
		return false;
	WRITE_ONCE(h->wanted, wanted);
	if (!wanted)
		return false;
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
	} while (is_over && mp_want(h, mp_wanted(h)));
	if (h->is_closing)
		mp_close(h);
}

/* A new operation; the handle may have others, which are left alone. */
static void mp_try_new(struct mp_handle *h, int nr)
{
	unsigned int events;

	if (h->lanes[nr].op == MEGAPIPE_OP_ACCEPT) {
		mp_look_at(h);
	} else if (!mp_try_lane(h, nr)) {
		mp_todo(h);
	} else if (h->busy & BIT(nr)) {
		events = (__force unsigned int)mp_lane_events(h, nr);
		if (mp_want(h, h->wanted | events))
			mp_look_at(h);
	}
}

/* Not at_once: others were there first. */
int mp_begin(struct mp_handle *h, const struct megapipe_command *cmd, int nr,
	     bool at_once)
{
	struct mp_lane *lane = &h->lanes[nr];

	if (lane->state != MP_IDLE)
		return -EBUSY;
	lane->op = cmd->op;
	lane->flags = cmd->flags;
	lane->state = MP_NEW;
	lane->canceled = false;
	lane->len = cmd->len;
	lane->arg = cmd->arg;
	lane->addr = cmd->addr;
	lane->done = 0;
	lane->info = 0;
	h->busy |= BIT(nr);
	if (likely(at_once))
		mp_try_new(h, nr);
	else
		mp_todo(h);
	return 0;
}
