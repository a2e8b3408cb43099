// SPDX-License-Identifier: MIT
/*
 * Engine uring: receiving from stream sockets. The first mp_recv() arms a
 * multishot receive that fills buffers out of the ring on its own. It serves
 * mp_recv() after mp_recv() without a request; what nobody has asked for yet
 * is kept in order on the handle. mp_read() takes from there, then stops the
 * multishot receive and reads by itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "uring.h"

/* Buffers kept for a handle that doesn't ask: then TCP's window has to do. */
#define AHEAD_MAX 8
/* Buffers that the kernel has from the start. */
#define BUFFERS_FIRST 64u

/* ---------------------------------------------------------------- states */

#define TO(state) (1U << MP__RX_##state)

static const uint8_t transitions[MP__RX_STATES] = {
	[MP__RX_IDLE] = TO(SINGLE) | TO(ARMED),
	[MP__RX_SINGLE] = TO(IDLE) | TO(STARVED),
	[MP__RX_ARMED] = TO(ENDING) | TO(IDLE) | TO(STARVED) | TO(OVER),
	[MP__RX_ENDING] = TO(CLOSED) | TO(IDLE) | TO(STARVED) | TO(OVER),
	[MP__RX_CLOSED] = TO(IDLE),
	[MP__RX_STARVED] = TO(IDLE),
	[MP__RX_OVER] = TO(IDLE),
};

static void enter(struct mp_handle *handle, enum mp__receiving state)
{
	MP__ASSERT(transitions[handle->ahead.state] & 1U << state);
	(void)transitions;
	handle->ahead.state = state;
}

/* The kernel has a multishot receive of this handle. */
static bool has_multishot(const struct mp_handle *handle)
{
	return handle->ahead.state == MP__RX_ARMED ||
	       handle->ahead.state == MP__RX_ENDING ||
	       handle->ahead.state == MP__RX_CLOSED;
}

/* --------------------------------------------------------------- buffers */

static void provide(struct mp_channel *ch, uint32_t buffer)
{
	struct mp__uring *u = mp__uring(ch);
	uint16_t mask = ch->options.buffers - 1;
	struct io_uring_buf *at = &u->buf_ring->bufs[u->buf_tail++ & mask];

	at->addr = (uintptr_t)mp__buffer(ch, buffer);
	at->len = ch->options.buffer_size;
	at->bid = buffer;
	ch->buffers.nprovided++;
}

static void publish(struct mp__uring *u)
{
	__atomic_store_n(&u->buf_ring->tail, u->buf_tail, __ATOMIC_RELEASE);
}

/*
 * The kernel takes all buffers in turn, however few are needed, and what it has
 * filled once is memory for good: so it gets more only when few are left.
 */
static void provide_fresh(struct mp_channel *ch, uint32_t count)
{
	struct mp__uring *u = mp__uring(ch);

	while (count-- && u->fresh < ch->options.buffers)
		provide(ch, u->fresh++);
	publish(u);
}

/* The kernel has put something into one. */
void mp__uring_took_buffer(struct mp_channel *ch)
{
	uint32_t fresh = mp__uring(ch)->fresh;

	ch->buffers.nprovided--;
	if (MP__UNLIKELY(ch->buffers.nprovided < fresh / 4) &&
	    fresh < ch->options.buffers)
		provide_fresh(ch, fresh);
}

int mp__uring_buffers(struct mp_channel *ch)
{
	struct mp__uring *u = mp__uring(ch);
	struct io_uring_buf_reg reg = {
		.ring_entries = ch->options.buffers,
		.bgid = MP__BUFFER_GROUP,
	};
	void *memory;
	int ret;

	u->buf_ring_size = ch->options.buffers * sizeof(struct io_uring_buf);
	memory = mmap(NULL, u->buf_ring_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	reg.ring_addr = (uintptr_t)memory;
	ret = mp__not_in_child(memory, u->buf_ring_size);
	if (!ret)
		ret = mp__ring_register(&u->ring, IORING_REGISTER_PBUF_RING,
					&reg, 1);
	if (ret < 0) {
		munmap(memory, u->buf_ring_size);
		return ret;
	}
	u->buf_ring = memory;
	provide_fresh(ch, BUFFERS_FIRST);
	return 0;
}

/* The handle's first reader finds no buffer: it waits for a release. */
void mp__starve(struct mp_handle *handle)
{
	struct mp__uring *u = mp__uring(handle->ch);

	handle->ch->stats.buffer_waits++;
	enter(handle, MP__RX_STARVED);
	TAILQ_INSERT_TAIL(&u->starved, handle, ahead.starving);
}

static void unstarve(struct mp_handle *handle)
{
	struct mp__uring *u = mp__uring(handle->ch);

	if (handle->ahead.state != MP__RX_STARVED)
		return;
	enter(handle, MP__RX_IDLE);
	TAILQ_REMOVE(&u->starved, handle, ahead.starving);
}

static void retry(struct mp_handle *handle);

void mp__uring_release(struct mp_channel *ch, uint32_t buffer)
{
	struct mp__uring *u = mp__uring(ch);
	struct mp_handle *hungry = TAILQ_FIRST(&u->starved);

	if (buffer >= ch->options.buffers) {
		mp__buffer_copy_free(ch, buffer);
		return;
	}
	provide(ch, buffer);
	publish(u);
	if (hungry) {
		unstarve(hungry);
		retry(hungry);
	}
}

bool mp__is_hungry(struct mp_channel *ch)
{
	return ch->buffers.nprovided && !TAILQ_EMPTY(&mp__uring(ch)->starved);
}

/*
 * Whom a release let go on may have nothing to receive, or come to its end:
 * then the buffer is for the next. As many try as there are buffers. False:
 * nobody has to.
 */
bool mp__feed(struct mp_channel *ch)
{
	uint32_t left = mp__is_hungry(ch) ? ch->buffers.nprovided : 0;
	bool is_any = left > 0;
	struct mp_handle *hungry;

	while (left-- && (hungry = TAILQ_FIRST(&mp__uring(ch)->starved))) {
		unstarve(hungry);
		retry(hungry);
	}
	return is_any;
}

/* -------------------------------------------------------- kept buffers */

/*
 * Nobody asks for these bytes: they must not keep a buffer from those who do.
 * While most buffers are with the kernel, or will be, they don't.
 */
static uint32_t spare(struct mp_channel *ch, uint32_t buffer, uint32_t len)
{
	uint32_t fresh = ch->options.buffers - mp__uring(ch)->fresh, copy;

	if (ch->buffers.nprovided + fresh > ch->options.buffers / 2)
		return buffer;
	copy = mp__buffer_copy(ch, mp__buffer(ch, buffer), len);
	if (copy == MP__NO_BUFFER)
		return buffer;
	mp__uring_release(ch, buffer);
	return copy;
}

static void keep(struct mp_handle *handle, uint32_t buffer, uint32_t len)
{
	struct mp__ahead *ahead = &handle->ahead;
	struct mp__buffer *state;

	if (!handle->rd.busy || ahead->count)
		buffer = spare(handle->ch, buffer, len);
	state = handle->ch->buffers.state;
	state[buffer].len = len;
	if (ahead->count++)
		state[ahead->last].next = buffer;
	else
		ahead->first = buffer;
	ahead->last = buffer;
}

static uint32_t take_first(struct mp_handle *handle)
{
	struct mp__ahead *ahead = &handle->ahead;
	uint32_t buffer = ahead->first;

	ahead->first = handle->ch->buffers.state[buffer].next;
	ahead->count--;
	ahead->skip = 0;
	return buffer;
}

void mp__ahead_drop(struct mp_handle *handle)
{
	unstarve(handle);
	while (handle->ahead.count)
		mp__uring_release(handle->ch, take_first(handle));
}

/* ----------------------------------------------------- multishot receive */

static void arm(struct mp_handle *handle)
{
	struct io_uring_sqe *sqe =
		mp__uring_sqe(handle->ch, handle, MP__TAG_AHEAD);

	mp__uring_target(sqe, handle);
	sqe->opcode = IORING_OP_RECV;
	sqe->ioprio = IORING_RECV_MULTISHOT;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = MP__BUFFER_GROUP;
	enter(handle, MP__RX_ARMED);
	handle->in_flight++;
}

void mp__ahead_stop(struct mp_handle *handle)
{
	if (handle->ahead.state != MP__RX_ARMED)
		return;
	enter(handle, MP__RX_ENDING);
	mp__uring_end(handle, handle, MP__TAG_AHEAD);
}

/* A cancel has found nothing: if it was this one's, it is asked for again. */
void mp__ahead_missed(struct mp_handle *handle)
{
	enum mp__receiving state = handle->ahead.state;

	if (state == MP__RX_ENDING || state == MP__RX_CLOSED)
		mp__uring_end(handle, handle, MP__TAG_AHEAD);
}

/* -------------------------------------------------------------- closing */

/*
 * The receive was told to end by a request before the one that closes: they go
 * to the kernel together. The socket is closed when both are done.
 */
bool mp__ahead_can_close(const struct mp_handle *handle)
{
	return handle->ahead.state == MP__RX_ENDING && !handle->listener &&
	       handle->in_flight == 1U + handle->rd.busy;
}

/* True: the receive still has to end, then MP_CLOSE is done. */
bool mp__ahead_close(struct mp__op *op, int result)
{
	struct mp_handle *handle = op->handle;

	if (handle->ahead.state != MP__RX_ENDING)
		return false;
	enter(handle, MP__RX_CLOSED);
	handle->ahead.close_result = result;
	return true;
}

/* ------------------------------------------------------ serving the lane */

static void serve_recv(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;
	uint32_t skip = handle->ahead.skip;

	op->buffer = take_first(handle);
	op->skip = skip;
	mp__op_done(op, handle->ch->buffers.state[op->buffer].len - skip);
}

/* Copies out of the first buffer kept into part of an iov. */
static size_t copy_some(struct mp_handle *handle, char *to, size_t size)
{
	struct mp__ahead *ahead = &handle->ahead;
	uint32_t len =
		handle->ch->buffers.state[ahead->first].len - ahead->skip;
	size_t n = size < len ? size : len;

	memcpy(to, mp__buffer(handle->ch, ahead->first) + ahead->skip, n);
	ahead->skip += n;
	if (n == len)
		mp__uring_release(handle->ch, take_first(handle));
	return n;
}

static size_t copy_iov(struct mp_handle *handle, const struct iovec *iov,
		       size_t iovcnt)
{
	size_t total = 0;

	for (size_t i = 0; i < iovcnt; i++) {
		size_t at = 0;

		while (at < iov[i].iov_len && handle->ahead.count)
			at += copy_some(handle, (char *)iov[i].iov_base + at,
					iov[i].iov_len - at);
		total += at;
	}
	return total;
}

static void serve_read(struct mp__op *op)
{
	struct msghdr *msg = op->caller_msg;
	size_t n;

	if (op->cmd == MP_READ) {
		n = copy_iov(op->handle, op->iov, op->iovcnt);
	} else {
		n = copy_iov(op->handle, msg->msg_iov, msg->msg_iovlen);
		msg->msg_namelen = 0;
		msg->msg_controllen = 0;
		msg->msg_flags = 0;
	}
	mp__op_done(op, n);
}

static void serve_final(struct mp__op *op)
{
	enter(op->handle, MP__RX_IDLE);
	mp__op_done(op, op->handle->ahead.final);
}

/* Nothing is kept, and nobody receives: the kernel does this one. */
static void begin(struct mp__op *op)
{
	if (op->cmd == MP_RECV && op->handle->kind == MP__STREAM) {
		arm(op->handle);
		return;
	}
	enter(op->handle, MP__RX_SINGLE);
	mp__uring_submit_op(op);
}

static void proceed(struct mp__op *op)
{
	switch (op->handle->ahead.state) {
	case MP__RX_IDLE:
		begin(op);
		break;
	case MP__RX_ARMED:
		if (op->cmd != MP_RECV)
			mp__ahead_stop(op->handle);
		break;
	case MP__RX_OVER:
		serve_final(op);
		break;
	default: /* what has to end before brings us here again */
		MP__ASSERT(op->handle->ahead.state == MP__RX_ENDING ||
			   op->handle->ahead.state == MP__RX_CLOSED);
	}
}

/* The operation at the head of the read lane. */
void mp__ahead_read(struct mp__op *op)
{
	struct mp__ahead *ahead = &op->handle->ahead;

	if (op->canceled)
		mp__op_done(op, -ECANCELED);
	else if (!ahead->count)
		proceed(op);
	else if (op->cmd == MP_RECV)
		serve_recv(op);
	else
		serve_read(op);
}

static void retry(struct mp_handle *handle)
{
	if (handle->rd.busy && handle->ahead.state != MP__RX_SINGLE)
		mp__ahead_read(STAILQ_FIRST(&handle->rd.ops));
}

void mp__ahead_single_done(struct mp_handle *handle)
{
	enter(handle, MP__RX_IDLE);
}

/* True: the operation has nothing in the kernel that must be cancelled. */
bool mp__ahead_cancel(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;

	if (mp__lane_of(handle, op->cmd) != &handle->rd ||
	    handle->ahead.state == MP__RX_SINGLE)
		return false;
	if (has_multishot(handle)) {
		mp__ahead_stop(handle);
	} else {
		unstarve(handle);
		mp__op_done(op, -ECANCELED);
	}
	return true;
}

/* ------------------------------------------------------------ completions */

static void received(struct mp_handle *handle, int len, uint32_t buffer)
{
	struct mp_channel *ch = handle->ch;
	struct mp__op *op = handle->rd.busy ? STAILQ_FIRST(&handle->rd.ops) :
					      NULL;

	mp__uring_took_buffer(ch);
	if (len <= 0 || handle->state == MP__CLOSING ||
	    handle->state == MP__DROPPING) {
		mp__uring_release(ch, buffer);
		return;
	}
	keep(handle, buffer, len);
	if (op)
		mp__ahead_read(op);
	if (handle->ahead.count >= AHEAD_MAX)
		mp__ahead_stop(handle);
}

static bool wants_buffer(const struct mp_handle *handle)
{
	const struct mp__op *op = STAILQ_FIRST(&handle->rd.ops);

	return handle->rd.busy && op->cmd == MP_RECV && !op->canceled;
}

/* A multishot receive has ended: is that for the reader to know? */
MP__RARELY static void ended(struct mp_handle *handle, int result)
{
	bool is_over;

	handle->in_flight--;
	is_over = result <= 0 && result != -ECANCELED && result != -EINTR &&
		  result != -EAGAIN && result != -ENOBUFS;
	if (handle->ahead.state == MP__RX_CLOSED) {
		enter(handle, MP__RX_IDLE);
	} else if (is_over) {
		enter(handle, MP__RX_OVER);
		handle->ahead.final = result;
	} else if (result == -ENOBUFS && !handle->ch->buffers.nprovided &&
		   wants_buffer(handle)) {
		mp__starve(handle);
	} else {
		enter(handle, MP__RX_IDLE);
	}
}

void mp__ahead_received(struct mp_handle *handle, int result,
			unsigned int flags)
{
	bool is_closed = handle->ahead.state == MP__RX_CLOSED;

	if (!(flags & IORING_CQE_F_MORE))
		ended(handle, result);
	if (flags & IORING_CQE_F_BUFFER)
		received(handle, result, flags >> IORING_CQE_BUFFER_SHIFT);
	if (has_multishot(handle))
		return;
	if (handle->ahead.state != MP__RX_STARVED)
		retry(handle);
	if (is_closed)
		mp__op_done(STAILQ_FIRST(&handle->wr.ops),
			    handle->ahead.close_result);
	else
		mp__lane_run(handle, &handle->wr);
}
