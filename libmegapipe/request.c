// SPDX-License-Identifier: MIT
/*
 * Operations on handles: the calls that ask for them, and the two lanes in
 * which they are done one after the other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

/* --------------------------------------------------------------- lanes */

/* Close waits for all lanes; reads wait for a connect. */
MP__INLINE bool must_wait(struct mp_handle *handle, struct mp__lane *lane,
			  const struct mp__op *op)
{
	if (lane == &handle->rd)
		return handle->connecting;
	if (op->cmd != MP_CLOSE)
		return false;
	if (mp__is_in_flight(handle))
		return !handle->ch->engine->can_close(handle);
	return mp__queues_drain(handle);
}

/* The operation at the lane's head, when its time has come. */
MP__INLINE void begin(struct mp_handle *handle, struct mp__lane *lane,
		      struct mp__op *op)
{
	if (must_wait(handle, lane, op))
		return;
	lane->busy = true;
	handle->in_flight++;
	handle->ch->engine->start(op);
}

void mp__lane_run(struct mp_handle *handle, struct mp__lane *lane)
{
	struct mp__op *op;

	while (!lane->busy && (op = STAILQ_FIRST(&lane->ops))) {
		if (!op->canceled) {
			begin(handle, lane, op);
			return;
		}
		STAILQ_REMOVE_HEAD(&lane->ops, link);
		op->result = -ECANCELED;
		mp__deliver(op);
	}
}

/*
 * Those of one command, or of all (0). What has begun is asked to end; what
 * hasn't ends behind it, in order.
 */
static void cancel_some(struct mp_handle *handle, struct mp__lane *lane,
			enum mp_command cmd)
{
	struct mp__op *op, *head = STAILQ_FIRST(&lane->ops);
	bool was_canceled = head && head->canceled;

	STAILQ_FOREACH (op, &lane->ops, link)
		op->canceled |= !cmd || op->cmd == cmd;
	if (!lane->busy)
		mp__lane_run(handle, lane);
	else if (!was_canceled && head->canceled)
		handle->ch->engine->cancel(head);
}

void mp__lane_cancel(struct mp_handle *handle, struct mp__lane *lane)
{
	cancel_some(handle, lane, 0);
}

/* What was to follow a write that failed, or that did some of it only. */
static bool breaks_off(const struct mp__op *op, ssize_t result)
{
	if (op->cmd != MP_WRITE && op->cmd != MP_SENDMSG)
		return false;
	return result < 0 || (op->is_partial && (size_t)result < op->size);
}

/*
 * It would be out of place: what is asked for already, and what will be until
 * the caller knows.
 */
MP__RARELY static void cancel_writes_behind(struct mp__op *broken)
{
	struct mp_handle *handle = broken->handle;
	struct mp__op *op;

	broken->has_broken = true;
	handle->unseen_breaks++;
	STAILQ_FOREACH (op, &handle->wr.ops, link)
		if (op->cmd == MP_WRITE || op->cmd == MP_SENDMSG)
			op->canceled = true;
}

static void iov_advance(struct mp__op *op, size_t bytes)
{
	if (op->offset >= 0)
		op->offset += bytes;
	while (op->iovcnt && bytes >= op->iov->iov_len) {
		bytes -= op->iov->iov_len;
		op->iov++;
		op->iovcnt--;
	}
	if (op->iovcnt) {
		op->iov->iov_base = (char *)op->iov->iov_base + bytes;
		op->iov->iov_len -= bytes;
	}
}

static bool is_short_write(struct mp__op *op, ssize_t result)
{
	if (op->cmd != MP_WRITE || result <= 0 || op->is_partial ||
	    op->handle->kind == MP__MESSAGES)
		return false;
	op->done += result;
	if (op->done == op->size)
		return false;
	iov_advance(op, result);
	return true;
}

static ssize_t final_result(struct mp__op *op, ssize_t result)
{
	if (op->cmd == MP_WRITE && result >= 0 && op->done)
		return op->done;
	return result;
}

/* What may have waited for an operation in that lane. */
MP__INLINE void run_behind(struct mp_handle *handle, struct mp__lane *lane,
			   enum mp_command cmd)
{
	if (!STAILQ_EMPTY(&lane->ops))
		mp__lane_run(handle, lane);
	if (cmd == MP_CONNECT)
		mp__lane_run(handle, &handle->rd);
	else if (lane != &handle->wr && !STAILQ_EMPTY(&handle->wr.ops))
		mp__lane_run(handle, &handle->wr);
}

/* The engine has ended what it was given by start(). */
void mp__op_done(struct mp__op *op, ssize_t result)
{
	struct mp_handle *handle = op->handle;
	enum mp_command cmd = op->cmd;
	struct mp__lane *lane = mp__lane_of(handle, cmd);

	lane->busy = false;
	handle->in_flight--;
	if (is_short_write(op, result)) {
		if (!op->canceled) {
			mp__lane_run(handle, lane);
			return;
		}
		result = -ECANCELED;
	}
	STAILQ_REMOVE_HEAD(&lane->ops, link);
	op->result = final_result(op, result);
	if (cmd == MP_CONNECT)
		handle->connecting = false;
	if (cmd == MP_CLOSE) {
		op->result = mp__close_result(handle, result);
		mp__handle_end(handle);
		mp__accept_freed(handle->ch);
	}
	if (MP__UNLIKELY(breaks_off(op, result)))
		cancel_writes_behind(op);
	mp__deliver(op);
	run_behind(handle, lane, cmd);
}

/* The same of MP_POLL. Changed since, what has ended was for other events. */
void mp__poll_done(struct mp__op *op, ssize_t result)
{
	struct mp_handle *handle = op->handle;
	bool was_changed = op->changed;

	if (result > 0)
		result &= op->events | POLLERR | POLLHUP | POLLNVAL;
	if (!result)
		result = -ECANCELED;
	op->changed = false;
	op->result = 0;
	if (!was_changed || op->canceled || result != -ECANCELED) {
		mp__op_done(op, result);
		return;
	}
	handle->poll.busy = false;
	handle->in_flight--;
	mp__lane_run(handle, &handle->poll);
}

/* --------------------------------------------------------------- calls */

MP__INLINE int ask_for(struct mp__op *op, enum mp_command cmd)
{
	struct mp_handle *handle = op->handle;
	struct mp__lane *lane = mp__lane_of(handle, cmd);
	bool is_first = STAILQ_EMPTY(&lane->ops);
	bool is_behind = (cmd == MP_WRITE || cmd == MP_SENDMSG) &&
			 handle->unseen_breaks;

	if (MP__UNLIKELY(is_behind))
		op->canceled = true;
	STAILQ_INSERT_TAIL(&lane->ops, op, link);
	if (is_first && !is_behind)
		begin(handle, lane, op);
	else
		mp__lane_run(handle, lane);
	return mp__push(handle->ch);
}

static int ask(struct mp__op *op)
{
	return ask_for(op, op->cmd);
}

MP__INLINE int copy_iov(struct mp__op *op, const struct iovec *iov, int iovcnt)
{
	if (iovcnt > MP__IOV_INLINE) {
		op->iov_heap = malloc(iovcnt * sizeof(*iov));
		if (!op->iov_heap)
			return -ENOMEM;
		op->iov = op->iov_heap;
	}
	memcpy(op->iov, iov, iovcnt * sizeof(*iov));
	op->iovcnt = iovcnt;
	return 0;
}

MP__INLINE int check_iov(const struct iovec *iov, int iovcnt, size_t *total)
{
	*total = 0;
	if (!iov || iovcnt < 1 || iovcnt > IOV_MAX)
		return -EINVAL;
	for (int i = 0; i < iovcnt; i++) {
		if (!iov[i].iov_base && iov[i].iov_len)
			return -EINVAL;
		if (iov[i].iov_len > (size_t)SSIZE_MAX - *total)
			return -EINVAL;
		*total += iov[i].iov_len;
	}
	return 0;
}

MP__INLINE int transfer(struct mp_handle *handle, enum mp_command cmd,
			const struct iovec *iov, int iovcnt, off_t offset)
{
	struct mp__op *op;
	size_t size;
	int ret = mp__check(handle);

	if (ret)
		return ret;
	ret = check_iov(iov, iovcnt, &size);
	if (ret)
		return ret;
	if (offset < -1 || (offset >= 0 && handle->kind != MP__DISK))
		return offset < -1 ? -EINVAL : -ESPIPE;
	op = mp__op_new(handle, cmd);
	if (!op)
		return -ENOMEM;
	op->offset = offset;
	op->size = size;
	ret = copy_iov(op, iov, iovcnt);
	if (ret) {
		mp__op_free(op);
		return ret;
	}
	return ask_for(op, cmd);
}

MP__INLINE int transfer_one(struct mp_handle *handle, enum mp_command cmd,
			    const void *buf, size_t size, off_t offset)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = size };

	return transfer(handle, cmd, &iov, 1, offset);
}

int mp_read(struct mp_handle *handle, void *buf, size_t size)
{
	return transfer_one(handle, MP_READ, buf, size, -1);
}

int mp_readv(struct mp_handle *handle, const struct iovec *iov, int iovcnt)
{
	return transfer(handle, MP_READ, iov, iovcnt, -1);
}

int mp_pread(struct mp_handle *handle, void *buf, size_t size, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return transfer_one(handle, MP_READ, buf, size, offset);
}

int mp_write(struct mp_handle *handle, const void *buf, size_t size)
{
	return transfer_one(handle, MP_WRITE, buf, size, -1);
}

int mp_writev(struct mp_handle *handle, const struct iovec *iov, int iovcnt)
{
	return transfer(handle, MP_WRITE, iov, iovcnt, -1);
}

int mp_pwrite(struct mp_handle *handle, const void *buf, size_t size,
	      off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return transfer_one(handle, MP_WRITE, buf, size, offset);
}

/* One part with all of the bytes, which go with the operation. */
static int copy_bytes(struct mp__op *op, const struct iovec *iov, int iovcnt)
{
	char *at;

	op->iov_heap = malloc(sizeof(*iov) + op->size);
	if (!op->iov_heap)
		return -ENOMEM;
	op->iov = op->iov_heap;
	op->iovcnt = 1;
	at = (char *)(op->iov + 1);
	*op->iov = (struct iovec){ .iov_base = at, .iov_len = op->size };
	for (int i = 0; i < iovcnt; i++) {
		if (iov[i].iov_len)
			memcpy(at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	return 0;
}

static int check_send(const struct mp_handle *handle, unsigned int flags)
{
	int ret = mp__check(handle);

	if (ret)
		return ret;
	if (flags & ~(MP_COPY | MP_PARTIAL) || flags == (MP_COPY | MP_PARTIAL))
		return -EINVAL;
	return mp__is_socket(handle) ? 0 : -ENOTSOCK;
}

int mp_sendv(struct mp_handle *handle, const struct iovec *iov, int iovcnt,
	     unsigned int flags)
{
	struct mp__op *op;
	size_t size;
	int ret = check_send(handle, flags);

	if (!ret)
		ret = check_iov(iov, iovcnt, &size);
	if (ret)
		return ret;
	op = mp__op_new(handle, MP_WRITE);
	if (!op)
		return -ENOMEM;
	op->size = size;
	op->is_partial = flags & MP_PARTIAL;
	ret = flags & MP_COPY ? copy_bytes(op, iov, iovcnt) :
				copy_iov(op, iov, iovcnt);
	if (ret) {
		mp__op_free(op);
		return ret;
	}
	return ask_for(op, MP_WRITE);
}

int mp_send(struct mp_handle *handle, const void *buf, size_t size,
	    unsigned int flags)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = size };

	return mp_sendv(handle, &iov, 1, flags);
}

int mp_recv(struct mp_handle *handle)
{
	struct mp__op *op;
	int ret = mp__check(handle);

	if (ret)
		return ret;
	op = mp__op_new(handle, MP_RECV);
	if (!op)
		return -ENOMEM;
	return ask_for(op, MP_RECV);
}

int mp_release(struct mp_channel *ch, const struct mp_event *ev)
{
	struct mp__buffer *buffer;

	if (!ch || !ev || ev->cmd != MP_RECV)
		return -EINVAL;
	if (!mp__is_owner(ch))
		return -EPERM;
	if (ev->recv.buffer >= ch->buffers.count)
		return -EINVAL;
	buffer = &ch->buffers.state[ev->recv.buffer];
	if (!buffer->held)
		return -EINVAL;
	buffer->held = false;
	ch->stats.buffers_held--;
	ch->engine->release(ch, ev->recv.buffer);
	return 0;
}

static int message(struct mp_handle *handle, enum mp_command cmd,
		   const struct msghdr *msg)
{
	struct mp__op *op;
	int ret = mp__check(handle);

	if (ret)
		return ret;
	if (!msg || msg->msg_iovlen > IOV_MAX ||
	    (msg->msg_iovlen && !msg->msg_iov))
		return -EINVAL;
	if (!mp__is_socket(handle))
		return -ENOTSOCK;
	op = mp__op_new(handle, cmd);
	if (!op)
		return -ENOMEM;
	op->caller_msg = (struct msghdr *)msg;
	return ask(op);
}

int mp_recvmsg(struct mp_handle *handle, struct msghdr *msg)
{
	return message(handle, MP_RECVMSG, msg);
}

int mp_sendmsg(struct mp_handle *handle, const struct msghdr *msg)
{
	return message(handle, MP_SENDMSG, msg);
}

int mp_connect(struct mp_handle *handle, const struct sockaddr *addr,
	       socklen_t len)
{
	struct mp__op *op;
	int ret = mp__check(handle);

	if (ret)
		return ret;
	if (!addr || len < sizeof(sa_family_t) || len > sizeof(op->addr))
		return -EINVAL;
	if (!mp__is_socket(handle))
		return -ENOTSOCK;
	op = mp__op_new(handle, MP_CONNECT);
	if (!op)
		return -ENOMEM;
	memcpy(&op->addr, addr, len);
	op->addr_len = len;
	handle->connecting = true;
	return ask(op);
}

int mp_disconnect(struct mp_handle *handle, int how)
{
	struct mp__op *op;
	int ret = mp__check(handle);

	if (ret)
		return ret;
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if (!mp__is_socket(handle))
		return -ENOTSOCK;
	op = mp__op_new(handle, MP_DISCONNECT);
	if (!op)
		return -ENOMEM;
	op->how = how;
	return ask(op);
}

/* It has ended, and nobody knows yet: as if it hadn't. */
static void forget_poll(struct mp_handle *handle)
{
	struct mp__op *op;

	STAILQ_FOREACH (op, &handle->completed, link)
		if (op->cmd == MP_POLL)
			break;
	STAILQ_REMOVE(&handle->completed, op, mp__op, link);
	TAILQ_REMOVE(&handle->ch->completed, op, in_channel);
	mp__op_free(op);
}

/* The engine is asked to end it, which brings it back here to wait again. */
static int change_poll(struct mp__op *op, short events)
{
	struct mp_channel *ch = op->handle->ch;

	bool is_ending = op->canceled || op->changed;

	op->events = events;
	op->canceled = false;
	op->changed = op->handle->poll.busy;
	if (op->changed && !is_ending)
		ch->engine->cancel(op);
	return mp__push(ch);
}

int mp_poll(struct mp_handle *handle, short events)
{
	struct mp__op *op;
	int ret = mp__check(handle);

	if (ret)
		return ret;
	if (!events || events & ~(POLLIN | POLLOUT | POLLRDHUP))
		return -EINVAL;
	if (handle->kind == MP__DISK)
		return -EPERM;
	op = STAILQ_FIRST(&handle->poll.ops);
	if (op)
		return change_poll(op, events);
	op = mp__op_new(handle, MP_POLL);
	if (!op)
		return -ENOMEM;
	if (handle->is_polling)
		forget_poll(handle);
	op->events = events;
	handle->is_polling = true;
	return ask(op);
}

static bool can_cancel(enum mp_command cmd)
{
	return cmd == MP_READ || cmd == MP_RECV || cmd == MP_RECVMSG ||
	       cmd == MP_POLL;
}

int mp_cancel(struct mp_handle *handle, enum mp_command cmd)
{
	int ret = mp__check(handle);

	if (ret)
		return ret;
	if (!can_cancel(cmd))
		return -EINVAL;
	cancel_some(handle, mp__lane_of(handle, cmd), cmd);
	return mp__push(handle->ch);
}
