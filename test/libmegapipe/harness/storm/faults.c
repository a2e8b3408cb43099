/* SPDX-License-Identifier: MIT */
/*
 * Faults that are made. The storm is linked with --wrap: these functions stand
 * before the C library's and fail at times, in threads that asked for it.
 *
 * io_uring's requests are doctored as they are submitted: a NOP that gives an
 * error of our choice takes the place of an accept, a read or a write.
 */
#include <linux/io_uring.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "storm.h"

/* Newer than the headers of Linux 6.1. */
#define NOP_INJECT_RESULT 1
#define MOST_RINGS 32

static _Thread_local bool is_on;
static _Thread_local struct dice dice;
static bool can_inject; /* Linux 6.10 */

int __real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __real_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *ev);
ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __real_recv(int fd, void *bytes, size_t size, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *msg, int flags);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd,
		  off_t offset);
long __real_syscall(long number, ...);

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

struct ring {
	int fd; /* 0: free */
	struct io_uring_params p;
	char *rings;
	struct io_uring_sqe *sqes;
	uint32_t doctored; /* entries before this one have been looked at */
};

/* A ring is its thread's. By their numbers once they are registered. */
static _Thread_local struct ring rings[MOST_RINGS];
static _Thread_local int by_number[MOST_RINGS];

static struct ring *ring_of(int fd)
{
	for (int i = 0; i < MOST_RINGS; i++)
		if (rings[i].fd == fd)
			return &rings[i];
	return NULL;
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd,
		  off_t offset)
{
	void *memory = __real_mmap(at, size, prot, flags, fd, offset);
	struct ring *r = fd > 0 && memory != MAP_FAILED ? ring_of(fd) : NULL;

	if (r && offset == IORING_OFF_SQ_RING)
		r->rings = memory;
	else if (r && offset == (off_t)IORING_OFF_SQES)
		r->sqes = memory;
	return memory;
}

static long set_up(unsigned int entries, struct io_uring_params *p)
{
	long fd = __real_syscall(SYS_io_uring_setup, entries, p);
	struct ring *r = fd >= 0 ? ring_of(fd) : NULL;

	if (fd >= 0 && !r)
		r = ring_of(0);
	if (r)
		*r = (struct ring){ .fd = fd, .p = *p };
	return fd;
}

static void note_number(long opcode, const struct io_uring_rsrc_update *u)
{
	if (opcode == IORING_REGISTER_RING_FDS && u->offset < MOST_RINGS)
		by_number[u->offset] = u->data;
}

static void fail_with(struct io_uring_sqe *sqe, int error)
{
	uint64_t user_data = sqe->user_data;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_NOP;
	sqe->rw_flags = NOP_INJECT_RESULT;
	sqe->len = -error;
	sqe->user_data = user_data;
}

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
		fail_with(sqe, accept_error());
	else if (is_transfer(sqe) && strikes(FAULTS, 20))
		fail_with(sqe, EINTR);
	else if (is_transfer(sqe) && strikes(FAILURES, 300))
		fail_with(sqe, transfer_error());
}

static void doctor_ring(struct ring *r)
{
	uint32_t tail = *(uint32_t *)(r->rings + r->p.sq_off.tail);

	for (; r->doctored != tail; r->doctored++)
		doctor(&r->sqes[r->doctored & (r->p.sq_entries - 1)]);
}

/* Nothing is submitted when the kernel is short of memory, or some of it. */
static long enter(const long *a)
{
	bool is_number = a[3] & IORING_ENTER_REGISTERED_RING;
	struct ring *r = is_number ? ring_of(by_number[a[0]]) : ring_of(a[0]);
	unsigned int count = a[1];

	if (r && r->sqes && is_on && can_inject)
		doctor_ring(r);
	if (count && strikes(FAULTS, 60)) {
		errno = EAGAIN;
		return -1;
	}
	if (a[3] & IORING_ENTER_GETEVENTS && a[2] && strikes(FAULTS, 60)) {
		errno = EINTR;
		return -1;
	}
	return __real_syscall(SYS_io_uring_enter, a[0], (long)count, a[2], a[3],
			      a[4], a[5]);
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
	return __real_syscall(SYS_epoll_pwait2, a[0], a[1], a[2], a[3], a[4],
			      a[5]);
}

long __wrap_syscall(long number, ...)
{
	va_list args;
	long a[6];
	long ret;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_io_uring_enter)
		return enter(a);
	if (number == SYS_io_uring_setup)
		return set_up(a[0], (void *)a[1]);
	if (number == SYS_epoll_pwait2)
		return epoll_pwait2_(a);
	ret = __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_io_uring_register && ret > 0)
		note_number(a[1], (void *)a[2]);
	return ret;
}

/* ------------------------------------------------------------------ ability */

static void *map(struct ring *r, size_t size, off_t offset)
{
	return __real_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   r->fd, offset);
}

/* Does a NOP give what it is told, in this kernel? */
static bool injects(struct ring *r)
{
	const struct io_sqring_offsets *sq = &r->p.sq_off;
	size_t cq = r->p.cq_off.cqes + 2 * 64, sqes = 64;
	const struct io_uring_cqe *cqe;

	r->rings = map(r, cq, IORING_OFF_SQ_RING);
	r->sqes = map(r, sqes, IORING_OFF_SQES);
	if (r->rings == MAP_FAILED || r->sqes == MAP_FAILED)
		return false;
	fail_with(r->sqes, ENFILE);
	*(uint32_t *)(r->rings + sq->array) = 0;
	*(uint32_t *)(r->rings + sq->tail) = 1;
	__real_syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS,
		       NULL, 0);
	cqe = (void *)(r->rings + r->p.cq_off.cqes);
	return *(uint32_t *)(r->rings + r->p.cq_off.tail) == 1 &&
	       cqe->res == -ENFILE;
}

void prepare_faults(void)
{
	struct ring r = { .fd = 0 };

	r.fd = __real_syscall(SYS_io_uring_setup, 1, &r.p);
	if (r.fd < 0)
		return;
	can_inject = injects(&r);
	close(r.fd);
}
