// SPDX-License-Identifier: MIT
/*
 * Engine uring: commands that the kernel does at once, for sockets that have no
 * fd: one for a slot, socket options, and the addresses of new peers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "uring.h"

/* ------------------------------------------------------- waited for by us */

/* Everything collected goes with it, so it happens in its order. */
static int await_command(struct mp_channel *ch, const struct mp__command *c)
{
	struct mp__wait none = { 0 };
	struct mp__wait wait = { .get = true, .wait_nr = 1, .deadline_us = -1 };

	mp__uring_enter(ch, &none);
	mp__uring_reap(ch, UINT32_MAX);
	while (!c->is_done && !ch->broken) {
		mp__uring_enter(ch, &wait);
		mp__uring_reap(ch, UINT32_MAX);
	}
	return c->is_done ? c->result : ch->broken;
}

int mp__uring_install_fd(struct mp_channel *ch, unsigned int slot)
{
	struct mp__command command = { 0 };
	struct io_uring_sqe *sqe = mp__uring_sqe(ch, &command, MP__TAG_COMMAND);

	sqe->opcode = MP__OP_FIXED_FD_INSTALL;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->fd = slot;
	return await_command(ch, &command);
}

/* -------------------------------------------------------- socket options */

/* The members of later headers have the places of these. */
static void prepare_option(struct io_uring_sqe *sqe, unsigned int command,
			   int level, int name, const void *value,
			   socklen_t len)
{
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->off = command;
	sqe->addr = (uint32_t)level | (uint64_t)(uint32_t)name << 32;
	sqe->file_index = len;
	sqe->addr3 = (uintptr_t)value;
}

int mp__uring_setsockopt(struct mp_handle *handle, int level, int name,
			 const void *value, socklen_t len)
{
	struct mp__command command = { 0 };
	struct mp_channel *ch = handle->ch;
	struct io_uring_sqe *sqe;

	if (!mp__uring(ch)->has_options)
		return -ENOSYS;
	sqe = mp__uring_sqe(ch, &command, MP__TAG_COMMAND);
	mp__uring_target(sqe, handle);
	prepare_option(sqe, MP__SOCKET_SETSOCKOPT, level, name, value, len);
	return await_command(ch, &command);
}

int mp__uring_getsockopt(struct mp_handle *handle, int level, int name,
			 void *value, socklen_t *len)
{
	struct mp__command command = { 0 };
	struct mp_channel *ch = handle->ch;
	struct io_uring_sqe *sqe;
	int ret;

	/* The kernel has it for this level only. */
	if (!mp__uring(ch)->has_options || level != SOL_SOCKET)
		return -ENOSYS;
	sqe = mp__uring_sqe(ch, &command, MP__TAG_COMMAND);
	mp__uring_target(sqe, handle);
	prepare_option(sqe, MP__SOCKET_GETSOCKOPT, level, name, value, *len);
	ret = await_command(ch, &command);
	if (ret < 0)
		return ret;
	*len = ret;
	return 0;
}

/* -------------------------------------------------------- names of peers */

/* How long it is of an accepted socket; 0: the kernel would have to tell. */
static socklen_t name_length(int family)
{
	switch (family) {
	case AF_INET:
		return sizeof(struct sockaddr_in);
	case AF_INET6:
		return sizeof(struct sockaddr_in6);
	default:
		return 0;
	}
}

int mp__uring_getpeername(struct mp_handle *handle, struct sockaddr *addr,
			  socklen_t *len)
{
	int family = handle->ch->lwsockets[handle->slot].family, ret;
	socklen_t length = name_length(family), wanted = *len;

	if (!length)
		return -ENOSYS;
	if (wanted > length)
		wanted = length;
	ret = mp__uring_getsockopt(handle, SOL_SOCKET, SO_PEERNAME, addr,
				   &wanted);
	if (!ret)
		*len = length;
	return ret;
}

/*
 * Of a connection that was just accepted: its event waits for it, till the next
 * fetch brings the names of all that came in this one.
 */
bool mp__uring_name_peer(struct mp__op *op)
{
	struct mp_channel *ch = op->handle->ch;
	socklen_t length = name_length(op->handle->listener->family);
	struct mp__uring *u = mp__uring(ch);
	struct io_uring_sqe *sqe;

	if (!u->has_options || !length)
		return false;
	sqe = mp__uring_sqe(ch, op, MP__TAG_PEER);
	sqe->fd = op->result;
	if (op->result >= MP_LWSOCKET_BASE) {
		sqe->flags = IOSQE_FIXED_FILE;
		sqe->fd = op->result - MP_LWSOCKET_BASE;
	}
	prepare_option(sqe, MP__SOCKET_GETSOCKOPT, SOL_SOCKET, SO_PEERNAME,
		       &op->addr, length);
	return true;
}

void mp__uring_named(struct mp__op *op, int result)
{
	op->addr_len = result > 0 ? result : 0;
	mp__accept_named(op);
}

/* ------------------------------------------------------------------ probe */

/* The answer to a socket option that is asked for as a command. */
static bool try_option(struct mp__ring *ring, int fd)
{
	struct mp__wait wait = { .get = true, .wait_nr = 1, .deadline_us = -1 };
	struct io_uring_sqe *sqe = mp__ring_sqe(ring);
	struct io_uring_cqe cqe = { .res = -1 };
	int type = 0, ret;

	sqe->fd = fd;
	prepare_option(sqe, MP__SOCKET_GETSOCKOPT, SOL_SOCKET, SO_TYPE, &type,
		       sizeof(type));
	do {
		ret = mp__ring_enter(ring, &wait);
	} while (!mp__ring_take(ring, &cqe) && (!ret || ret == -EINTR));
	return cqe.res == sizeof(type) && type == SOCK_STREAM;
}

/* -errno: there is no room to try it. */
static int try_on_ring(int fd)
{
	struct mp__ring ring;
	int ret = mp__ring_create(&ring, 1, 1);

	if (ret)
		return ret;
	ret = mp__ring_has_op(&ring, IORING_OP_URING_CMD) &&
	      try_option(&ring, fd);
	mp__ring_destroy(&ring);
	return ret;
}

static int try_options(void)
{
	int fd, ret = -EMFILE;

	mp__fds_hold(NULL);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		ret = try_on_ring(fd);
		close(fd);
	}
	mp__fds_let(NULL);
	return ret;
}

/*
 * Linux 6.7, unless somebody forbids commands: it is tried out, once. Not with
 * the channel's ring, which is that thread's which enters it first.
 */
bool mp__uring_has_options(void)
{
	static enum { UNKNOWN, NO, YES } known;
	int ret;

	if (__atomic_load_n(&known, __ATOMIC_RELAXED))
		return __atomic_load_n(&known, __ATOMIC_RELAXED) == YES;
	ret = try_options();
	if (ret >= 0)
		__atomic_store_n(&known, ret ? YES : NO, __ATOMIC_RELAXED);
	return ret > 0;
}
