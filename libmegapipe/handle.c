// SPDX-License-Identifier: MIT
/*
 * Handles: how files come to a channel and leave it, and the socket calls on
 * them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.h"

/* --------------------------------------------------- which fd is whose */

static int by_fd_reserve(struct mp_channel *ch, int fd)
{
	size_t size = ch->by_fd_size ? ch->by_fd_size : 64;
	struct mp_handle **grown;

	if ((size_t)fd < ch->by_fd_size)
		return 0;
	while (size <= (size_t)fd)
		size *= 2;
	grown = reallocarray(ch->by_fd, size, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + ch->by_fd_size, 0,
	       (size - ch->by_fd_size) * sizeof(*grown));
	ch->by_fd = grown;
	ch->by_fd_size = size;
	return 0;
}

/*
 * When it is to be closed already: the kernel gives the number to another file
 * as soon as it is, which may be registered before MP_CLOSE is dispatched.
 */
void mp__by_fd_forget(struct mp_handle *handle)
{
	struct mp_channel *ch = handle->ch;

	if (handle->slot < 0 && handle->fd >= 0 &&
	    ch->by_fd[handle->fd] == handle)
		ch->by_fd[handle->fd] = NULL;
}

/* The file is closed or given back: the number may come again. */
static void unmap(struct mp_handle *handle)
{
	struct mp_channel *ch = handle->ch;

	if (handle->slot >= 0)
		mp__lwsocket_forget(ch, handle->slot);
	else
		mp__by_fd_forget(handle);
	handle->slot = -1;
	handle->fd = -1;
}

/* Nothing is in flight, and the file is closed or goes back to the caller. */
void mp__handle_end(struct mp_handle *handle)
{
	mp__timer_cancel(&handle->deadline);
	handle->ch->engine->detach(handle);
	if (handle->listener)
		mp__listener_free(handle);
	if (handle->disk)
		mp__disk_forget(handle);
	unmap(handle);
}

static int number_of(int fd, int option)
{
	int number;
	socklen_t len = sizeof(number);

	return getsockopt(fd, SOL_SOCKET, option, &number, &len) ? -errno :
								   number;
}

int mp__make_nonblocking(struct mp_channel *ch, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	ch->stats.crossings++;
	if (flags < 0)
		return -errno;
	if (flags & O_NONBLOCK)
		return 0;
	ch->stats.crossings++;
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

/*
 * Some kernels call a pidfd a regular file (6.9 to 6.15): it can be waited for,
 * and never be read (-EINVAL). To an address that no process has a file that
 * can is not read either (-EFAULT): the kernel looks at the address before it
 * asks the file system, which may never answer, and pread() doesn't wait for
 * others who move the position. No point of cancellation, as mp__fd_close().
 */
static bool is_on_disk(int fd, mode_t mode)
{
	const long nowhere = -1;

	return S_ISBLK(mode) ||
	       (S_ISREG(mode) &&
		!(syscall(SYS_pread64, fd, nowhere, 1L, 0L, 0L, 0L) &&
		  errno == EINVAL));
}

/* Most are TCP: one call tells. */
static int find_kind(struct mp_handle *handle, int fd)
{
	struct stat st;
	int number = number_of(fd, SO_PROTOCOL);

	handle->is_tcp = number == IPPROTO_TCP;
	handle->kind = MP__STREAM;
	if (handle->is_tcp)
		return 0;
	if (number >= 0) {
		number = number_of(fd, SO_TYPE);
		if (number != SOCK_STREAM)
			handle->kind = MP__MESSAGES;
		return number < 0 ? number : 0;
	}
	if (number != -ENOTSOCK)
		return number;
	if (fstat(fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	handle->kind = is_on_disk(fd, st.st_mode) ? MP__DISK : MP__POLLABLE;
	return 0;
}

/* ------------------------------------------------------------ register */

static int bind_fd(struct mp_handle *handle, int fd)
{
	struct mp_channel *ch = handle->ch;
	int ret;

	if (fd < 0)
		return -EBADF;
	ret = find_kind(handle, fd);
	if (ret)
		return ret;
	ret = by_fd_reserve(ch, fd);
	if (ret)
		return ret;
	if (ch->by_fd[fd])
		return -EEXIST;
	handle->fd = fd;
	handle->id = fd;
	return 0;
}

static int bind_lwsocket(struct mp_handle *handle, int id)
{
	struct mp_channel *ch = handle->ch;
	unsigned int slot = id - MP_LWSOCKET_BASE;
	struct mp__lwsocket *lw;

	if (slot >= ch->options.max_lwsockets)
		return -EBADF;
	lw = &ch->lwsockets[slot];
	if (lw->state != MP__LW_ACCEPTED)
		return lw->state == MP__LW_FREE ? -EBADF : -EEXIST;
	handle->id = id;
	handle->slot = slot;
	handle->fd = lw->fd;
	handle->kind = lw->kind;
	handle->is_tcp = lw->is_tcp;
	return 0;
}

static void map(struct mp_handle *handle)
{
	struct mp_channel *ch = handle->ch;

	if (handle->slot >= 0)
		ch->lwsockets[handle->slot].state = MP__LW_REGISTERED;
	else
		ch->by_fd[handle->fd] = handle;
}

static int begin(struct mp_handle *handle, int fd, const cpu_set_t *cpu_mask)
{
	int ret = fd >= MP_LWSOCKET_BASE ? bind_lwsocket(handle, fd) :
					   bind_fd(handle, fd);

	if (ret)
		return ret;
	if (cpu_mask) {
		ret = mp__listener_new(handle, cpu_mask);
		if (ret)
			return ret;
	}
	ret = handle->ch->engine->attach(handle);
	if (ret && handle->listener)
		mp__listener_free(handle);
	return ret;
}

int mp_register(struct mp_channel *ch, int fd, void *cookie,
		const cpu_set_t *cpu_mask, struct mp_handle **out)
{
	struct mp_handle *handle;
	int ret;

	if (!ch || !out)
		return -EINVAL;
	if (!mp__is_owner(ch))
		return -EPERM;
	ch->is_used = true;
	handle = mp__handle_new(ch);
	if (!handle)
		return -ENOMEM;
	handle->cookie = cookie;
	ret = begin(handle, fd, cpu_mask);
	if (ret) {
		mp__handle_free(handle);
		return ret;
	}
	map(handle);
	handle->state = MP__OPEN;
	*out = handle;
	return 0;
}

int mp_handle_id(const struct mp_handle *handle)
{
	int ret = mp__check(handle);

	return ret ? ret : handle->id;
}

/* ---------------------------------------------------------- unregister */

static void drop_completed(struct mp_handle *handle)
{
	struct mp__op *op;

	while ((op = STAILQ_FIRST(&handle->completed))) {
		STAILQ_REMOVE_HEAD(&handle->completed, link);
		TAILQ_REMOVE(&handle->ch->completed, op, in_channel);
		if (op->cmd == MP_ACCEPT && op->result >= 0)
			mp__accepted_discard(op);
		else
			mp__deliver(op);
	}
}

/*
 * A request that the kernel is about to try again is not found by the cancel,
 * and may wait for long after it: so it is asked for again from time to time.
 */
void mp__cancel_again(struct mp_handle *handle)
{
	struct mp__lane *lanes[] = { &handle->rd, &handle->wr, &handle->poll };

	for (size_t i = 0; i < sizeof(lanes) / sizeof(*lanes); i++) {
		struct mp__op *op = STAILQ_FIRST(&lanes[i]->ops);

		if (lanes[i]->busy && op->canceled)
			handle->ch->engine->cancel(op);
	}
}

static void await_end(struct mp_handle *handle)
{
	struct mp_channel *ch = handle->ch;

	ch->is_urgent = true;
	while (mp__is_in_flight(handle) && !ch->broken)
		if (mp__fetch(ch, mp__now_us() + MP__CANCEL_AGAIN_US) == -ETIME)
			mp__cancel_again(handle);
	ch->is_urgent = false;
}

/* End all that is in flight, and wait for it. */
static void drain(struct mp_handle *handle)
{
	struct mp_channel *ch = handle->ch;

	handle->state = MP__DROPPING;
	mp__timer_cancel(&handle->deadline);
	drop_completed(handle);
	mp__lane_cancel(handle, &handle->rd);
	mp__lane_cancel(handle, &handle->wr);
	mp__lane_cancel(handle, &handle->poll);
	if (handle->listener) {
		mp__balance_unshare(handle->listener);
		mp__listener_stop(handle);
	}
	ch->engine->quiesce(handle);
	await_end(handle);
}

/* The slot may come again as soon as it is closed: the handle forgets it. */
static void close_lwsocket(struct mp_handle *handle)
{
	unsigned int slot = handle->slot;

	handle->ch->engine->detach(handle);
	handle->slot = -1;
	handle->fd = -1;
	mp__lwsocket_close(handle->ch, slot);
}

static void close_fd(struct mp_handle *handle, int fd)
{
	if (handle->kind == MP__DISK)
		mp__disk_close(handle->ch, fd);
	else
		mp__fd_close(handle->ch, fd);
}

int mp_unregister(struct mp_handle *handle)
{
	struct mp_channel *ch;
	bool is_closing, is_lwsocket;
	int fd, ret = mp__check(handle);

	if (ret && (ret != -EBADF || handle->state != MP__CLOSING))
		return ret;
	/* mp_close() has taken the fd, even if it hasn't come to closing it. */
	is_closing = handle->state == MP__CLOSING;
	ch = handle->ch;
	drain(handle);
	is_lwsocket = handle->slot >= 0;
	if (is_lwsocket)
		close_lwsocket(handle);
	fd = handle->fd;
	mp__handle_end(handle);
	/* of a broken channel nobody knows whether the kernel has closed it */
	if (is_closing && fd >= 0 && !ch->broken)
		close_fd(handle, fd);
	mp__handle_free(handle);
	/* Its peer is to know now. */
	if (is_lwsocket)
		ch->engine->flush(ch);
	return ch->broken;
}

/* -------------------------------------------------------- socket calls */

static bool is_idle(const struct mp_handle *handle)
{
	return STAILQ_EMPTY(&handle->rd.ops) && STAILQ_EMPTY(&handle->wr.ops) &&
	       !handle->is_polling && STAILQ_EMPTY(&handle->completed);
}

/* An fd of one's own for the handle's file. */
static int install_fd(struct mp_handle *handle)
{
	int fd;

	if (handle->fd < 0)
		return handle->ch->engine->install_fd(handle->ch, handle->slot);
	fd = fcntl(handle->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* Stop receiving ahead; -EBUSY if that has brought bytes already. */
static int settle(struct mp_handle *handle)
{
	struct mp_channel *ch = handle->ch;

	ch->engine->quiesce(handle);
	ch->is_urgent = true;
	while (mp__is_in_flight(handle) && !ch->broken)
		mp__fetch(ch, -1);
	ch->is_urgent = false;
	if (ch->broken)
		return ch->broken;
	if (ch->engine == &mp__engine_uring && handle->ahead.count)
		return -EBUSY;
	return 0;
}

int mp_lwsocket_to_fd(struct mp_handle *handle)
{
	int fd, ret = mp__check(handle);

	if (ret)
		return ret;
	if (handle->listener || !is_idle(handle))
		return -EBUSY;
	ret = settle(handle);
	if (ret)
		return ret;
	fd = handle->slot < 0 ? handle->fd : install_fd(handle);
	if (fd < 0)
		return fd;
	mp_unregister(handle);
	return fd;
}

/* A direct descriptor borrows an fd for the length of a call. */
static int take_fd(struct mp_handle *handle)
{
	int fd;

	if (handle->fd >= 0)
		return handle->fd;
	mp__fds_hold(handle->ch);
	fd = install_fd(handle);
	if (fd >= 0)
		mp__fd_own(fd);
	mp__fds_let(handle->ch);
	return fd;
}

static int borrow_fd(struct mp_handle *handle)
{
	int ret = mp__check(handle);

	if (ret)
		return ret;
	return mp__is_socket(handle) ? take_fd(handle) : -ENOTSOCK;
}

static int give_back_fd(struct mp_handle *handle, int fd, int ret)
{
	int error = ret < 0 ? -errno : 0;

	handle->ch->stats.crossings++;
	if (fd != handle->fd) {
		mp__fd_close(handle->ch, fd);
		handle->ch->stats.crossings++;
	}
	return error;
}

/* A direct descriptor that the engine knows how to ask. */
static bool is_direct(const struct mp_handle *handle)
{
	return !mp__check(handle) && handle->fd < 0 && mp__is_socket(handle);
}

static int set_option(struct mp_handle *handle, int level, int name,
		      const void *value, socklen_t len)
{
	int fd, ret;

	if (handle->fd < 0) {
		ret = handle->ch->engine->setsockopt(handle, level, name, value,
						     len);
		if (ret != -ENOSYS)
			return ret;
	}
	fd = take_fd(handle);
	if (fd < 0)
		return fd;
	return give_back_fd(handle, fd,
			    setsockopt(fd, level, name, value, len));
}

int mp_setsockopt(struct mp_handle *handle, int level, int name,
		  const void *value, socklen_t len)
{
	int ret = value ? mp__check(handle) : -EINVAL;

	if (ret)
		return ret;
	if (!mp__is_socket(handle))
		return -ENOTSOCK;
	return set_option(handle, level, name, value, len);
}

/* What the peer hasn't acknowledged by then is dropped. */
void mp__reset_at_close(struct mp_handle *handle)
{
	const struct linger none = { .l_onoff = 1 };

	if (handle->kind == MP__STREAM)
		set_option(handle, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

int mp_getsockopt(struct mp_handle *handle, int level, int name, void *value,
		  socklen_t *len)
{
	int fd, ret;

	if (value && len && is_direct(handle)) {
		ret = handle->ch->engine->getsockopt(handle, level, name, value,
						     len);
		if (ret != -ENOSYS)
			return ret;
	}
	fd = value && len ? borrow_fd(handle) : -EINVAL;
	if (fd < 0)
		return fd;
	return give_back_fd(handle, fd,
			    getsockopt(fd, level, name, value, len));
}

int mp_getpeername(struct mp_handle *handle, struct sockaddr *addr,
		   socklen_t *len)
{
	int fd, ret;

	if (addr && len && is_direct(handle)) {
		ret = handle->ch->engine->getpeername(handle, addr, len);
		if (ret != -ENOSYS)
			return ret;
	}
	fd = addr && len ? borrow_fd(handle) : -EINVAL;
	if (fd < 0)
		return fd;
	return give_back_fd(handle, fd, getpeername(fd, addr, len));
}

int mp_getsockname(struct mp_handle *handle, struct sockaddr *addr,
		   socklen_t *len)
{
	int fd;

	if (addr && len && is_direct(handle) && handle->ch->engine->getsockname)
		return handle->ch->engine->getsockname(handle, addr, len);
	fd = addr && len ? borrow_fd(handle) : -EINVAL;
	if (fd < 0)
		return fd;
	return give_back_fd(handle, fd, getsockname(fd, addr, len));
}
