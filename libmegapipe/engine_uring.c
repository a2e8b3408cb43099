// SPDX-License-Identifier: MIT
/*
 * Engine uring: io_uring as Linux 6.1 and newer have it. The submission ring
 * is the batch. What pays, by measurement: one issuer with deferred task
 * work, multishot accept, and multishot receive into a ring of buffers.
 *
 * A multishot receive is invisible to the caller: mp_recv() arms it once,
 * and what it brings before the next mp_recv() is kept ("ahead", see
 * receive.c), up to AHEAD_MAX buffers a handle.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "ring.h"
#include "uring.h"

#define REQUESTS_MIN 128
/* Up to so many, half of these. */
#define COMPLETIONS_FEW 256
/* struct io_rings of the kernel, without its arrays. */
#define RING_HEAD 320
#define PROBE_REQUESTS 4
/* A deadline for those who have none. */
#define LONG_US 3600000000ll
/* Fetches that may find enough in memory before the kernel is asked again. */
#define FETCHES_FROM_MEMORY 4

/* ----------------------------------------------------------- life cycle */

static unsigned int ring_entries(const struct mp_options *options)
{
	unsigned int n = REQUESTS_MIN;

	if (options->completions <= COMPLETIONS_FEW)
		n /= 2;
	while (n < 2 * options->batch)
		n *= 2;
	return n < options->completions ? n : options->completions;
}

static size_t whole_pages(size_t bytes)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

/* What RLIMIT_MEMLOCK counts of a channel: the kernel has no way to ask. */
static size_t locked_bytes(const struct mp_options *options)
{
	size_t requests = ring_entries(options);

	return whole_pages(requests * sizeof(struct io_uring_sqe)) +
	       whole_pages(RING_HEAD + requests * sizeof(uint32_t) +
			   options->completions * sizeof(struct io_uring_cqe)) +
	       whole_pages(options->buffers * sizeof(struct io_uring_buf));
}

/* At most RLIMIT_NOFILE, and max_lwsockets isn't more. */
static int register_slots(struct mp_channel *ch)
{
	struct io_uring_rsrc_register table = {
		.nr = ch->options.max_lwsockets,
		.flags = IORING_RSRC_REGISTER_SPARSE,
	};
	int ret = mp__ring_register(&mp__uring(ch)->ring,
				    IORING_REGISTER_FILES2, &table,
				    sizeof(table));

	if (ret < 0)
		mp__why("the kernel makes no table of %u lwsockets: %s",
			table.nr, strerror(-ret));
	return ret < 0 ? ret : 0;
}

/*
 * Without a way back from a slot to an fd there would be no socket options:
 * older kernels get lwsockets as hidden fds, as on engine epoll.
 */
static bool has_direct(struct mp__ring *ring)
{
	return mp__ring_has_op(ring, MP__OP_FIXED_FD_INSTALL);
}

static void uring_destroy(struct mp_channel *ch)
{
	struct mp__uring *u = mp__uring(ch);

	mp__ring_destroy(&u->ring);
	if (u->buf_ring)
		munmap(u->buf_ring, u->buf_ring_size);
	free(u);
}

static int make_ring(struct mp_channel *ch)
{
	struct mp__uring *u = mp__uring(ch);
	int ret = mp__ring_create(&u->ring, ring_entries(&ch->options),
				  ch->options.completions);

	if (ret == -ENOMEM)
		mp__why_no_memory(locked_bytes(&ch->options));
	return ret;
}

static int uring_create(struct mp_channel *ch)
{
	struct mp__uring *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return -ENOMEM;
	ch->priv = u;
	TAILQ_INIT(&u->starved);
	ret = make_ring(ch);
	if (ret) {
		free(u);
		return ret;
	}
	ch->is_direct = has_direct(&u->ring);
	ret = ch->is_direct ? register_slots(ch) : 0;
	if (ret) {
		uring_destroy(ch);
		return ret;
	}
	u->has_options = mp__uring_has_options();
	/* they are in the completion queue, where else */
	ch->accepts_ahead = ch->options.completions;
	return 0;
}

/* The entries of the ring of buffers are the last that is counted. */
static int uring_buffers(struct mp_channel *ch)
{
	int ret = mp__uring_buffers(ch);

	if (ret == -ENOMEM)
		mp__why_no_memory(locked_bytes(&ch->options));
	return ret;
}

static int create_probe(struct mp__ring *ring)
{
	int ret;

	mp__fds_hold(NULL);
	ret = mp__ring_create(ring, PROBE_REQUESTS, 2 * PROBE_REQUESTS);
	mp__fds_let(NULL);
	return ret;
}

static int uring_probe(struct mp_engine_info *info)
{
	struct mp__ring ring;
	int64_t until_us = 0;
	int ret = mp__fork_watch();

	if (ret)
		return ret;
	do
		ret = create_probe(&ring);
	while (ret == -ENOMEM && mp__memlock_wait(&until_us));
	if (ret == -ENOMEM)
		mp__why_no_memory(2 * whole_pages(1));
	if (ret)
		return ret;
	mp__tell_feature(info, true, "deferred-task-work");
	mp__tell_feature(info, true, "multishot-accept");
	mp__tell_feature(info, true, "multishot-receive");
	mp__tell_feature(info, true, "buffer-ring");
	mp__tell_feature(info, has_direct(&ring), "direct-descriptors");
	mp__tell_feature(info, mp__uring_has_options(), "socket-options");
	mp__tell_feature(info, ring.features & MP__FEAT_MIN_TIMEOUT,
			 "minimum-wait");
	mp__tell_feature(info, !mp__steering(), "partition");
	mp__fds_hold(NULL);
	mp__ring_destroy(&ring);
	mp__fds_let(NULL);
	return 0;
}

static int uring_attach(struct mp_handle *handle)
{
	memset(&handle->ahead, 0, sizeof(handle->ahead));
	return 0;
}

static void uring_detach(struct mp_handle *handle)
{
	mp__ahead_drop(handle);
}

/* ----------------------------------------------------------- submission */

int mp__uring_enter(struct mp_channel *ch, const struct mp__wait *wait)
{
	if (ch->broken)
		return ch->broken;
	ch->stats.crossings++;
	mp__account_flush(ch);
	return mp__answered(ch, mp__ring_enter(&mp__uring(ch)->ring, wait));
}

/*
 * Everything is submitted on return. The kernel takes less only while it is
 * short of memory, or before its overflown completions are fetched.
 */
static int uring_flush(struct mp_channel *ch)
{
	struct mp__uring *u = mp__uring(ch);
	struct mp__wait wait = { 0 };

	while (mp__ring_pending(&u->ring)) {
		int why = mp__uring_enter(ch, &wait);

		wait.get = why == -EBUSY || why == -EAGAIN;
		if (wait.get)
			mp__uring_reap(ch, UINT32_MAX);
		else if (why && why != -EINTR)
			return why;
	}
	return 0;
}

struct io_uring_sqe *mp__uring_sqe(struct mp_channel *ch, void *object,
				   enum mp__tag tag)
{
	struct mp__uring *u = mp__uring(ch);
	struct io_uring_sqe *sqe = mp__ring_sqe(&u->ring);

	if (!sqe) {
		struct mp__wait wait = { 0 };

		/* Completions stay in the ring: we may be in the midst of one.
		 */
		while (!(sqe = mp__ring_sqe(&u->ring))) {
			mp__uring_enter(ch, &wait);
			if (ch->broken)
				mp__ring_forget(&u->ring);
		}
	}
	sqe->user_data = (uintptr_t)object | tag;
	ch->unflushed++;
	return sqe;
}

void mp__uring_target(struct io_uring_sqe *sqe, const struct mp_handle *handle)
{
	if (handle->fd >= 0) {
		sqe->fd = handle->fd;
	} else {
		sqe->fd = handle->slot;
		sqe->flags |= IOSQE_FIXED_FILE;
	}
}

static void prepare_cancel(struct io_uring_sqe *sqe, void *object,
			   enum mp__tag tag)
{
	sqe->opcode = IORING_OP_ASYNC_CANCEL;
	sqe->fd = -1;
	sqe->addr = (uintptr_t)object | tag;
}

/*
 * End one request of a handle, by user_data. A completion of its own comes only
 * if none was found: it has ended by itself, or the kernel was about to try it
 * again. Then missed() looks what is still to be ended, if the handle has
 * something. This may come when the handle is free, or another: then what is
 * being ended there may be cancelled twice.
 */
void mp__uring_end(struct mp_handle *handle, void *object, enum mp__tag tag)
{
	struct io_uring_sqe *sqe =
		mp__uring_sqe(handle->ch, handle, MP__TAG_ENDING);

	prepare_cancel(sqe, object, tag);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
}

/* ----------------------------------------------------------- operations */

static void prepare_message(struct io_uring_sqe *sqe, struct msghdr *msg,
			    int opcode, int flags)
{
	sqe->opcode = opcode;
	sqe->addr = (uintptr_t)msg;
	sqe->len = 1;
	sqe->msg_flags = flags;
}

static void prepare_iov_message(struct io_uring_sqe *sqe, struct mp__op *op,
				int opcode, int flags)
{
	memset(&op->msg, 0, sizeof(op->msg));
	op->msg.msg_iov = op->iov;
	op->msg.msg_iovlen = op->iovcnt;
	prepare_message(sqe, &op->msg, opcode, flags);
}

static void prepare_buffer(struct io_uring_sqe *sqe, struct mp__op *op,
			   int opcode, int flags)
{
	sqe->opcode = opcode;
	sqe->addr = (uintptr_t)op->iov->iov_base;
	sqe->len = op->iov->iov_len;
	sqe->msg_flags = flags;
}

/* sqe->len has 32 bits: what is longer goes as a vector. */
static bool is_plain(const struct mp__op *op)
{
	return op->iovcnt == 1 && op->iov->iov_len <= INT32_MAX;
}

static void prepare_file(struct io_uring_sqe *sqe, struct mp__op *op,
			 bool is_write)
{
	if (is_plain(op)) {
		prepare_buffer(sqe, op,
			       is_write ? IORING_OP_WRITE : IORING_OP_READ, 0);
	} else {
		sqe->opcode = is_write ? IORING_OP_WRITEV : IORING_OP_READV;
		sqe->addr = (uintptr_t)op->iov;
		sqe->len = op->iovcnt;
	}
	sqe->off = op->offset;
}

static void prepare_write(struct io_uring_sqe *sqe, struct mp__op *op)
{
	int flags = MSG_NOSIGNAL;

	/* The kernel itself goes on after a short write. */
	if (op->handle->kind == MP__STREAM && !op->is_partial)
		flags |= MSG_WAITALL;
	if (!mp__is_socket(op->handle))
		prepare_file(sqe, op, true);
	else if (is_plain(op))
		prepare_buffer(sqe, op, IORING_OP_SEND, flags);
	else
		prepare_iov_message(sqe, op, IORING_OP_SENDMSG, flags);
}

static void prepare_read(struct io_uring_sqe *sqe, struct mp__op *op)
{
	if (!mp__is_socket(op->handle))
		prepare_file(sqe, op, false);
	else if (is_plain(op))
		prepare_buffer(sqe, op, IORING_OP_RECV, 0);
	else
		prepare_iov_message(sqe, op, IORING_OP_RECVMSG, 0);
}

/* One receive into whichever buffer the kernel takes. */
static void prepare_recv(struct io_uring_sqe *sqe, struct mp__op *op)
{
	sqe->opcode = mp__is_socket(op->handle) ? IORING_OP_RECV :
						  IORING_OP_READ;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = MP__BUFFER_GROUP;
	sqe->len = op->handle->ch->options.buffer_size;
	if (!mp__is_socket(op->handle))
		sqe->off = -1;
}

/* A slot is named where others have the fd's flag. */
static void prepare_close(struct io_uring_sqe *sqe, int slot, bool is_direct)
{
	sqe->opcode = IORING_OP_CLOSE;
	if (!is_direct)
		return;
	sqe->flags &= ~IOSQE_FIXED_FILE;
	sqe->fd = 0;
	sqe->file_index = slot + 1;
}

static void prepare(struct io_uring_sqe *sqe, struct mp__op *op)
{
	switch (op->cmd) {
	case MP_READ:
		prepare_read(sqe, op);
		break;
	case MP_RECV:
		prepare_recv(sqe, op);
		break;
	case MP_WRITE:
		prepare_write(sqe, op);
		break;
	case MP_RECVMSG:
		prepare_message(sqe, op->caller_msg, IORING_OP_RECVMSG, 0);
		break;
	case MP_SENDMSG:
		prepare_message(sqe, op->caller_msg, IORING_OP_SENDMSG,
				MSG_NOSIGNAL);
		break;
	case MP_CONNECT:
		sqe->opcode = IORING_OP_CONNECT;
		sqe->addr = (uintptr_t)&op->addr;
		sqe->off = op->addr_len;
		break;
	case MP_POLL:
		sqe->opcode = IORING_OP_POLL_ADD;
		sqe->poll32_events = op->events;
		sqe->len = op->repeats ? IORING_POLL_ADD_MULTI : 0;
		break;
	case MP_CLOSE:
		prepare_close(sqe, op->handle->slot, op->handle->fd < 0);
		break;
	default:
		sqe->opcode = IORING_OP_SHUTDOWN;
		sqe->len = op->how;
	}
}

/*
 * After a write that was cut short (a full disk) io_uring doesn't move the
 * file's position: what is left would go to the old one. So we keep it. With
 * O_APPEND what is left goes to the end, and io_uring knows where that was.
 */
static void take_position(struct mp__op *op)
{
	int flags;

	if (op->handle->kind != MP__DISK || op->cmd != MP_WRITE ||
	    op->offset >= 0)
		return;
	op->at_position = true;
	op->handle->ch->stats.crossings++;
	flags = fcntl(op->handle->fd, F_GETFL);
	if (flags >= 0 && flags & O_APPEND)
		return;
	op->handle->ch->stats.crossings++;
	op->offset = lseek(op->handle->fd, 0, SEEK_CUR);
}

static void move_position(struct mp__op *op, int result)
{
	int fd = op->handle->fd;

	if (!op->at_position || result <= 0)
		return;
	if (op->offset >= 0)
		lseek(fd, op->offset + result, SEEK_SET);
	else if (op->done + result < op->size)
		lseek(fd, 0, SEEK_END);
	else
		return;
	op->handle->ch->stats.crossings++;
}

void mp__uring_submit_op(struct mp__op *op)
{
	struct io_uring_sqe *sqe =
		mp__uring_sqe(op->handle->ch, op, MP__TAG_OP);

	if (op->cmd == MP_CLOSE && op->handle->fd >= 0)
		mp__fd_disown(op->handle->fd);
	take_position(op);
	mp__uring_target(sqe, op->handle);
	prepare(sqe, op);
}

/*
 * The request to close the slot is on its way: who gets the slot after it is
 * another socket, whatever comes first out of the ring.
 */
static void free_slot(struct mp_handle *handle)
{
	unsigned int slot = handle->slot;

	if (handle->fd >= 0)
		return;
	handle->slot = -1;
	mp__lwsocket_forget(handle->ch, slot);
}

static void uring_start(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;

	if (mp__lane_of(handle, op->cmd) == &handle->rd)
		mp__ahead_read(op);
	else
		mp__uring_submit_op(op);
	if (op->cmd == MP_CLOSE)
		free_slot(handle);
}

static void end_op(struct mp__op *op)
{
	mp__uring_end(op->handle, op, op->polled ? MP__TAG_POLL : MP__TAG_OP);
}

/* Closing isn't given up: nobody else would close the file. */
static void uring_cancel(struct mp__op *op)
{
	if (op->cmd != MP_CLOSE && !mp__ahead_cancel(op))
		end_op(op);
}

static void end_again(struct mp__lane *lane)
{
	struct mp__op *op = STAILQ_FIRST(&lane->ops);
	bool is_told = op && op->cmd == MP_POLL && op->result;

	if (lane->busy && (op->canceled || op->changed || is_told))
		uring_cancel(op);
}

static void missed(struct mp_handle *handle, int result)
{
	if (result != -ENOENT || handle->state == MP__FREE)
		return;
	mp__ahead_missed(handle);
	end_again(&handle->rd);
	end_again(&handle->wr);
	end_again(&handle->poll);
}

/* A non-blocking file that io_uring doesn't wait for: wait, then retry. */
static void poll_first(struct mp__op *op)
{
	struct io_uring_sqe *sqe =
		mp__uring_sqe(op->handle->ch, op, MP__TAG_POLL);
	bool is_read = mp__lane_of(op->handle, op->cmd) == &op->handle->rd;

	op->polled = true;
	mp__uring_target(sqe, op->handle);
	sqe->opcode = IORING_OP_POLL_ADD;
	sqe->poll32_events = is_read ? POLLIN | POLLRDHUP : POLLOUT;
}

/* What the kernel had of it is over. */
MP__INLINE void op_done(struct mp__op *op, ssize_t result)
{
	if (mp__lane_of(op->handle, op->cmd) == &op->handle->rd)
		mp__ahead_single_done(op->handle);
	mp__op_done(op, result);
}

static void op_polled(struct mp__op *op, int result)
{
	op->polled = false;
	if (result < 0 || op->canceled)
		op_done(op, op->canceled ? -ECANCELED : result);
	else
		mp__uring_submit_op(op);
}

static void take_buffer(struct mp__op *op, int result, unsigned int flags)
{
	struct mp_channel *ch = op->handle->ch;

	if (!(flags & IORING_CQE_F_BUFFER))
		return;
	mp__uring_took_buffer(ch);
	op->buffer = flags >> IORING_CQE_BUFFER_SHIFT;
	if (result <= 0) {
		mp__uring_release(ch, op->buffer);
		op->buffer = MP__NO_BUFFER;
	}
}

/*
 * io_uring tells POLLRDHUP always. If it isn't asked for, and all there is, the
 * rest is awaited by a request that repeats, or it would be told at once again.
 * Of that the first that was asked for counts, and ends it.
 */
static void poll_completed(struct mp__op *op, int result, unsigned int flags)
{
	bool goes_on = flags & IORING_CQE_F_MORE;

	if (result > 0)
		result &= op->events | POLLERR | POLLHUP | POLLNVAL;
	if (result && !op->result && goes_on)
		end_op(op);
	if (result > 0)
		op->result = result;
	if (goes_on)
		return;
	if (op->result)
		result = op->result;
	op->repeats = !result;
	if (!result && !op->canceled && !op->changed)
		mp__uring_submit_op(op);
	else
		mp__poll_done(op, result ? result : -ECANCELED);
}

MP__RARELY static void closed(struct mp__op *op, int result)
{
	if (!mp__ahead_close(op, result))
		mp__op_done(op, result);
}

static void op_completed(struct mp__op *op, int result, unsigned int flags)
{
	if (op->cmd == MP_POLL) {
		poll_completed(op, result, flags);
		return;
	}
	if (op->cmd == MP_CLOSE) {
		closed(op, result);
		return;
	}
	move_position(op, result);
	if (op->cmd == MP_RECV)
		take_buffer(op, result, flags);
	if (op->canceled &&
	    (result == -EAGAIN || result == -EINTR || result == -ENOBUFS))
		result = -ECANCELED;
	switch (result) {
	case -EAGAIN:
		poll_first(op);
		break;
	case -EINTR:
		mp__uring_submit_op(op);
		break;
	case -ENOBUFS:
		if (op->cmd == MP_RECV) {
			mp__starve(op->handle);
			break;
		}
		/* fall through */
	default:
		op_done(op, result);
	}
}

/* ------------------------------------------------------------ accepting */

/* Its completion is waited for: by then it may have found nothing. */
static void uring_accept_stop(struct mp__queue *q)
{
	struct io_uring_sqe *sqe =
		mp__uring_sqe(q->handle->ch, q, MP__TAG_CANCEL);

	q->cancels++;
	q->handle->listener->requests++;
	prepare_cancel(sqe, q, MP__TAG_QUEUE);
	sqe->cancel_flags = IORING_ASYNC_CANCEL_ALL;
}

static int uring_accept(struct mp__queue *q)
{
	struct mp_channel *ch = q->handle->ch;
	struct io_uring_sqe *sqe = mp__uring_sqe(ch, q, MP__TAG_QUEUE);

	sqe->opcode = IORING_OP_ACCEPT;
	sqe->fd = q->fd;
	if (q->multi)
		sqe->ioprio = IORING_ACCEPT_MULTISHOT;
	if (q->handle->listener->is_lwsocket && ch->is_direct)
		sqe->file_index = IORING_FILE_INDEX_ALLOC;
	else
		sqe->accept_flags = SOCK_CLOEXEC;
	/* What is there is accepted at once; then it would wait for more. */
	if (mp__queue_is_nowait(q))
		uring_accept_stop(q);
	return 0;
}

static int uring_accept_poll(struct mp__queue *q)
{
	struct io_uring_sqe *sqe =
		mp__uring_sqe(q->handle->ch, q, MP__TAG_QUEUE);

	sqe->opcode = IORING_OP_POLL_ADD;
	sqe->fd = q->fd;
	sqe->poll32_events = POLLIN;
	return 0;
}

/* ------------------------------------------------------ direct descriptors */

static void uring_close_slot(struct mp_channel *ch, unsigned int slot)
{
	struct io_uring_sqe *sqe = mp__uring_sqe(ch, NULL, MP__TAG_NONE);

	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	prepare_close(sqe, slot, true);
}

/* --------------------------------------------------------------- fetching */

static void complete(const struct io_uring_cqe *cqe)
{
	void *object = (void *)(uintptr_t)(cqe->user_data & ~MP__TAG_MASK);
	struct mp__command *command = object;

	switch (cqe->user_data & MP__TAG_MASK) {
	case MP__TAG_OP:
		op_completed(object, cqe->res, cqe->flags);
		break;
	case MP__TAG_POLL:
		op_polled(object, cqe->res);
		break;
	case MP__TAG_QUEUE:
		mp__accepted(object, cqe->res, cqe->flags & IORING_CQE_F_MORE);
		break;
	case MP__TAG_AHEAD:
		mp__ahead_received(object, cqe->res, cqe->flags);
		break;
	case MP__TAG_ENDING:
		missed(object, cqe->res);
		break;
	case MP__TAG_PEER:
		mp__uring_named(object, cqe->res);
		break;
	case MP__TAG_COMMAND:
		command->result = cqe->res;
		command->is_done = true;
		break;
	case MP__TAG_CANCEL:
		mp__accept_canceled(object, cqe->res);
		break;
	default: /* of a close: there is nobody to tell */
		break;
	}
}

/* What the ring holds, at most max; returns how many. */
unsigned int mp__uring_reap(struct mp_channel *ch, unsigned int max)
{
	struct mp__uring *u = mp__uring(ch);
	struct io_uring_cqe cqe;
	unsigned int n = 0;

	/* of handles that may be gone: mp_unregister() doesn't wait for them */
	if (ch->broken)
		return 0;
	while (n < max && mp__ring_take(&u->ring, &cqe)) {
		complete(&cqe);
		n++;
	}
	if (n)
		mp__account_fetch(ch, n);
	return n;
}

static bool is_moderated(const struct mp_channel *ch, int64_t deadline_us)
{
	return ch->options.moderation_us && !ch->is_urgent && deadline_us;
}

static int wait_plainly(struct mp_channel *ch, int64_t deadline_us)
{
	struct mp__wait wait = {
		.get = true,
		.wait_nr = deadline_us ? 1 : 0,
		.deadline_us = deadline_us,
	};

	return mp__uring_enter(ch, &wait);
}

/* Before 6.12 the wait for a batch and the wait for anything are two calls. */
static int wait_moderated(struct mp_channel *ch, int64_t deadline_us)
{
	struct mp__uring *u = mp__uring(ch);
	uint32_t moderation_us = ch->options.moderation_us;
	int64_t soon_us = mp__now_us() + moderation_us;
	struct mp__wait wait = { .get = true, .deadline_us = deadline_us };
	int ret;

	wait.wait_nr = mp__moderation_target(&u->moderation);
	if (deadline_us > 0 && deadline_us <= soon_us)
		wait.wait_nr = 1;
	if (wait.wait_nr > 1 && !(u->ring.features & MP__FEAT_MIN_TIMEOUT)) {
		wait.deadline_us = soon_us;
	} else if (wait.wait_nr > 1) {
		wait.min_wait_us = moderation_us;
		/* without a deadline the kernel would wait so long and no
		 * longer */
		if (deadline_us < 0)
			wait.deadline_us = mp__now_us() + LONG_US;
	}
	ret = mp__uring_enter(ch, &wait);
	if (ret == -ETIME && mp__left_us(deadline_us))
		return wait_plainly(ch, deadline_us);
	return ret;
}

/*
 * What was submitted may have completed at once: then the kernel needn't be
 * asked, for a few times. True: something was reaped, don't wait.
 */
static bool reap_memory(struct mp_channel *ch)
{
	struct mp__uring *u = mp__uring(ch);

	if (ch->options.batch == 1 || u->from_memory++ >= FETCHES_FROM_MEMORY) {
		u->from_memory = 0;
		return false;
	}
	if (!mp__uring_reap(ch, UINT32_MAX))
		return false;
	if (TAILQ_EMPTY(&ch->completed)) {
		wait_plainly(ch, 0);
		mp__uring_reap(ch, UINT32_MAX);
	}
	return true;
}

/* Returns how many were reaped; *why the wait came back. */
static unsigned int fetch_some(struct mp_channel *ch, int64_t deadline_us,
			       int *why)
{
	/* One completion a crossing is what an unbatched API would do. */
	unsigned int max = ch->options.batch == 1 ? 1 : UINT32_MAX;
	unsigned int n;

	if (!is_moderated(ch, deadline_us)) {
		*why = wait_plainly(ch, deadline_us);
		return mp__uring_reap(ch, max);
	}
	*why = wait_moderated(ch, deadline_us);
	n = mp__uring_reap(ch, max);
	mp__moderate(&mp__uring(ch)->moderation, n, ch->options.batch);
	return n;
}

static int uring_fetch(struct mp_channel *ch, int64_t deadline_us)
{
	struct mp__uring *u = mp__uring(ch);
	unsigned int n;
	int why;

	if (reap_memory(ch))
		return 0;
	u->from_memory = 0;
	if (mp__ring_overflown(&u->ring))
		ch->stats.overflows++;
	/* Nobody sleeps while there are buffers and some wait for one. */
	do
		n = fetch_some(ch, mp__is_hungry(ch) ? 0 : deadline_us, &why);
	while (!n && mp__feed(ch));
	return n || why == -EBUSY || why == -EAGAIN ? 0 : why;
}

static bool is_accepted_fd(const struct io_uring_cqe *cqe)
{
	const struct mp__queue *q =
		(void *)(uintptr_t)(cqe->user_data & ~MP__TAG_MASK);

	return (cqe->user_data & MP__TAG_MASK) == MP__TAG_QUEUE &&
	       cqe->res >= 0 && !q->polls &&
	       !(q->handle->listener->is_lwsocket && q->handle->ch->is_direct);
}

static void uring_each_queued(struct mp_channel *ch, void (*tell)(int fd))
{
	const struct mp__ring *r = &mp__uring(ch)->ring;
	unsigned int n = mp__ring_ready(r);

	for (unsigned int at = *r->cq_head; n; n--, at++)
		if (is_accepted_fd(&r->cqes[at & r->cq_mask]))
			tell(r->cqes[at & r->cq_mask].res);
	for (n = mp__ring_pending(r); n; n--) {
		const struct io_uring_sqe *sqe =
			&r->sqes[(r->tail - n) & r->sq_mask];

		if (sqe->opcode == IORING_OP_CLOSE && !sqe->file_index)
			tell(sqe->fd);
	}
}

const struct mp__engine mp__engine_uring = {
	.name = "uring",
	.locked_bytes = locked_bytes,
	.wakes_one = true,
	.probe = uring_probe,
	.create = uring_create,
	.destroy = uring_destroy,
	.attach = uring_attach,
	.detach = uring_detach,
	.start = uring_start,
	.cancel = uring_cancel,
	.accepts = 16,
	.accept = uring_accept,
	.accept_poll = uring_accept_poll,
	.accept_stop = uring_accept_stop,
	.can_close = mp__ahead_can_close,
	.quiesce = mp__ahead_stop,
	.close_slot = uring_close_slot,
	.flush = uring_flush,
	.fetch = uring_fetch,
	.buffers = uring_buffers,
	.release = mp__uring_release,
	.install_fd = mp__uring_install_fd,
	.setsockopt = mp__uring_setsockopt,
	.getsockopt = mp__uring_getsockopt,
	.getpeername = mp__uring_getpeername,
	.each_queued = uring_each_queued,
	.name_peer = mp__uring_name_peer,
};
