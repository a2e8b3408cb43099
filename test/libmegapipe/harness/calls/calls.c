/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"

/* Newer than the headers of Linux 6.1. */
#define NOP_INJECT_RESULT 1
#define MOST_RINGS 32
/* Of one entry: less than this is needed. */
#define RINGS_SIZE 4096

void *__real_mmap(void *at, size_t size, int prot, int flags, int fd,
		  off_t offset);
long __real_syscall(long number, ...);

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

static long set_up(const long *a)
{
	const struct io_uring_params *p = (void *)a[1];
	long fd = __real_syscall(SYS_io_uring_setup, a[0], p);
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

long real_syscall(long number, const long *a)
{
	long ret;

	if (number == SYS_io_uring_setup)
		return set_up(a);
	ret = __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_io_uring_register && ret > 0)
		note_number(a[1], (void *)a[2]);
	return ret;
}

long __wrap_syscall(long number, ...)
{
	va_list args;
	long a[6];

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	return wrapped_syscall(number, a);
}

/* ----------------------------------------------------------------- requests */

void fail_request(struct io_uring_sqe *sqe, int error)
{
	uint64_t user_data = sqe->user_data;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_NOP;
	sqe->rw_flags = NOP_INJECT_RESULT;
	sqe->len = -error;
	sqe->user_data = user_data;
}

void each_request(const long *a, void (*show)(struct io_uring_sqe *sqe))
{
	bool is_number = a[3] & IORING_ENTER_REGISTERED_RING;
	struct ring *r = ring_of(is_number ? by_number[a[0]] : a[0]);
	uint32_t tail;

	if (!r || !r->sqes)
		return;
	tail = *(uint32_t *)(r->rings + r->p.sq_off.tail);
	for (; r->doctored != tail; r->doctored++)
		show(&r->sqes[r->doctored & (r->p.sq_entries - 1)]);
}

static void *map(struct ring *r, size_t size, off_t offset)
{
	return __real_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   r->fd, offset);
}

static bool injects(struct ring *r)
{
	const struct io_sqring_offsets *sq = &r->p.sq_off;
	const struct io_uring_cqe *cqe;

	r->rings = map(r, RINGS_SIZE, IORING_OFF_SQ_RING);
	r->sqes = map(r, sizeof(*r->sqes), IORING_OFF_SQES);
	if (r->rings == MAP_FAILED || r->sqes == MAP_FAILED)
		return false;
	fail_request(r->sqes, ENFILE);
	*(uint32_t *)(r->rings + sq->array) = 0;
	*(uint32_t *)(r->rings + sq->tail) = 1;
	__real_syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS,
		       NULL, 0);
	cqe = (void *)(r->rings + r->p.cq_off.cqes);
	return *(uint32_t *)(r->rings + r->p.cq_off.tail) == 1 &&
	       cqe->res == -ENFILE;
}

bool can_fail_requests(void)
{
	struct ring r = { .fd = 0 };
	bool can;

	r.fd = __real_syscall(SYS_io_uring_setup, 1, &r.p);
	if (r.fd < 0)
		return false;
	can = injects(&r);
	munmap(r.rings, RINGS_SIZE);
	munmap(r.sqes, sizeof(*r.sqes));
	close(r.fd);
	return can;
}
