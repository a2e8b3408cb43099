/* SPDX-License-Identifier: MIT */
/*
 * Faults that are made. The storm is linked with --wrap: these functions stand
 * before the C library's and fail at times, in threads that asked for it.
 */
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "../calls/calls.h"
#include "storm.h"

static _Thread_local bool is_on;
static _Thread_local struct dice dice;
static bool can_inject;

int __real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __real_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *ev);
ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __real_recv(int fd, void *bytes, size_t size, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *msg, int flags);

void begin_faults(struct dice with)
{
	dice = with;
	is_on = true;
}

void end_faults(void)
{
	is_on = false;
}

static bool strikes(unsigned int feature, unsigned int rarity)
{
	if (!is_on || !(plan.features & feature) || !one_in(&dice, rarity))
		return false;
	shared->faults++;
	return true;
}

/* ------------------------------------------------------------------ accepts */

static int accept_error(void)
{
	static const int errors[] = { EMFILE, ENFILE,	    ENOBUFS,
				      ENOMEM, ECONNABORTED, EINTR };

	return errors[roll(&dice, sizeof(errors) / sizeof(*errors))];
}

int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	if (strikes(FAULTS, 8)) {
		errno = accept_error();
		return -1;
	}
	return __real_accept4(fd, addr, len, flags);
}

/* --------------------------------------------------------- reads and writes */

static int transfer_error(void)
{
	return one_in(&dice, 2) ? ENOMEM : ENOBUFS;
}

/* True: errno is set. */
static bool transfer_fails(void)
{
	if (strikes(FAULTS, 20))
		errno = EINTR;
	else if (strikes(FAILURES, 300))
		errno = transfer_error();
	else
		return false;
	return true;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	return transfer_fails() ? -1 : __real_send(fd, bytes, size, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return transfer_fails() ? -1 : __real_sendmsg(fd, msg, flags);
}

ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags)
{
	return transfer_fails() ? -1 : __real_recv(fd, bytes, size, flags);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return transfer_fails() ? -1 : __real_recvmsg(fd, msg, flags);
}

/* ------------------------------------------------------------------ waiting */

int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *ev)
{
	if (op == EPOLL_CTL_ADD && strikes(FAILURES, 100)) {
		errno = one_in(&dice, 2) ? ENOMEM : ENOSPC;
		return -1;
	}
	return __real_epoll_ctl(epoll_fd, op, fd, ev);
}

/* -------------------------------------------------------------------- rings */

static bool is_transfer(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
	case IORING_OP_SEND:
	case IORING_OP_SENDMSG:
		return true;
	default:
		return false;
	}
}

static void doctor(struct io_uring_sqe *sqe)
{
	if (sqe->opcode == IORING_OP_ACCEPT && strikes(FAULTS, 8))
		fail_request(sqe, accept_error());
	else if (is_transfer(sqe) && strikes(FAULTS, 20))
		fail_request(sqe, EINTR);
	else if (is_transfer(sqe) && strikes(FAILURES, 300))
		fail_request(sqe, transfer_error());
}

/* Nothing is submitted when the kernel is short of memory, or some of it. */
static long enter(const long *a)
{
	if (is_on && can_inject)
		each_request(a, doctor);
	if (a[1] && strikes(FAULTS, 60)) {
		errno = EAGAIN;
		return -1;
	}
	if (a[3] & IORING_ENTER_GETEVENTS && a[2] && strikes(FAULTS, 60)) {
		errno = EINTR;
		return -1;
	}
	return real_syscall(SYS_io_uring_enter, a);
}

static long epoll_pwait2_(const long *a)
{
	if (is_on && plan.features & NO_PWAIT2) {
		errno = EPERM;
		return -1;
	}
	if (strikes(FAULTS, 60)) {
		errno = EINTR;
		return -1;
	}
	return real_syscall(SYS_epoll_pwait2, a);
}

long wrapped_syscall(long number, const long *a)
{
	if (number == SYS_io_uring_enter)
		return enter(a);
	if (number == SYS_epoll_pwait2)
		return epoll_pwait2_(a);
	return real_syscall(number, a);
}

void prepare_faults(void)
{
	can_inject = can_fail_requests();
}
