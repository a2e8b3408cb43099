// SPDX-License-Identifier: MIT
/*
 * Closing: after the writes asked for before it, however long the peer takes
 * for them, or for some time only.
 */
#include "engine.h"

static bool is_dropped(const struct mp__op *op)
{
	return op->cmd == MP_WRITE || op->cmd == MP_SENDMSG ||
	       op->cmd == MP_CONNECT;
}

/* What is left of the write lane isn't done any more, but for closing. */
static void give_up(struct mp_handle *handle)
{
	struct mp__op *op;

	handle->is_given_up = true;
	if (handle->bound == MP__BOUNDED)
		mp__reset_at_close(handle);
	STAILQ_FOREACH (op, &handle->wr.ops, link)
		if (is_dropped(op))
			op->canceled = true;
}

/* Since the fetch before the last one it is the first: so it was tried. */
static bool was_tried(struct mp_handle *handle, const struct mp__op *op)
{
	bool is_same = handle->waited == op;

	handle->waited = op;
	return is_same;
}

/* Set first: when it comes to closing in here, it is to be cancelled. */
static void expire(struct mp__timer *timer)
{
	struct mp_handle *handle =
		MP__CONTAINER(timer, struct mp_handle, deadline);
	struct mp__op *op = STAILQ_FIRST(&handle->wr.ops);
	bool is_due = handle->bound != MP__UNBOUNDED && !handle->is_given_up &&
		      is_dropped(op);

	if (is_due && handle->bound == MP__AT_ONCE && !was_tried(handle, op)) {
		mp__timer_set(handle->ch, timer, 0);
		return;
	}
	mp__timer_set(handle->ch, timer, MP__CANCEL_AGAIN_US);
	if (is_due)
		give_up(handle);
	mp__cancel_again(handle);
}

/*
 * A read whose cancel may not find it (see mp__cancel_again()). What receives
 * ahead knows that by itself.
 */
static bool is_being_read(const struct mp_handle *handle)
{
	const struct mp__op *op = STAILQ_FIRST(&handle->rd.ops);

	return handle->rd.busy &&
	       (op->cmd != MP_RECV || handle->kind != MP__STREAM);
}

static void set_deadline(struct mp_handle *handle, int64_t us)
{
	bool is_reading = is_being_read(handle) || handle->poll.busy;
	bool is_bounded = us >= 0 && us <= MP__LONGEST_US &&
			  !STAILQ_EMPTY(&handle->wr.ops);

	if (!is_bounded && !is_reading)
		return;
	handle->deadline.expire = expire;
	if (!is_bounded) {
		mp__timer_set(handle->ch, &handle->deadline,
			      MP__CANCEL_AGAIN_US);
		return;
	}
	handle->bound = us ? MP__BOUNDED : MP__AT_ONCE;
	mp__timer_set(handle->ch, &handle->deadline, us);
}

int mp_close_within(struct mp_handle *handle, int64_t us)
{
	struct mp__op *op;
	int ret = us < -1 ? -EINVAL : mp__check(handle);

	if (ret)
		return ret;
	op = mp__op_new(handle, MP_CLOSE);
	if (!op)
		return -ENOMEM;
	handle->state = MP__CLOSING;
	mp__by_fd_forget(handle);
	if (handle->fd >= 0)
		mp__fd_own(handle->fd);
	mp__lane_cancel(handle, &handle->rd);
	mp__lane_cancel(handle, &handle->poll);
	if (handle->listener)
		mp__listener_close(handle);
	else
		set_deadline(handle, us);
	handle->ch->engine->quiesce(handle);
	STAILQ_INSERT_TAIL(&handle->wr.ops, op, link);
	mp__lane_run(handle, &handle->wr);
	return mp__push(handle->ch);
}

int mp_close(struct mp_handle *handle)
{
	return mp_close_within(handle, -1);
}

/* The file is closed; what MP_CLOSE says of it. */
ssize_t mp__close_result(const struct mp_handle *handle, ssize_t result)
{
	bool is_late = handle->is_given_up && handle->bound == MP__BOUNDED;

	return is_late && result >= 0 ? -ETIMEDOUT : result;
}
