/* SPDX-License-Identifier: MIT */
/*
 * An io_uring instance: set-up, submission entries, entering the kernel,
 * completions. Raw, because each system call is counted, and because the
 * packaged liburing lacks what newer kernels have.
 */
#ifndef MP_RING_H
#define MP_RING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the headers of Linux 6.1 lack or name otherwise, under names of our own:
 * the library compiles with those headers and with today's.
 */
#define MP__OP_FIXED_FD_INSTALL 54 /* 6.8 */
#define MP__SOCKET_GETSOCKOPT 2	   /* 6.7 */
#define MP__SOCKET_SETSOCKOPT 3
#define MP__FEAT_MIN_TIMEOUT (1U << 15) /* 6.12 */

/* struct io_uring_getevents_arg: min_wait_usec was a pad before 6.12. */
struct mp__getevents_arg {
	uint64_t sigmask;
	uint32_t sigmask_sz;
	uint32_t min_wait_usec;
	uint64_t ts;
};

struct mp__ring {
	int fd;
	int enter_fd; /* fd, or its number among registered rings */
	unsigned int enter_flags;
	unsigned int features;

	unsigned int *sq_head;
	unsigned int *sq_tail;
	unsigned int *sq_flags;
	unsigned int sq_mask;
	unsigned int sq_entries;
	unsigned int tail; /* prepared so far; the kernel's lags behind */
	struct io_uring_sqe *sqes;

	unsigned int *cq_head;
	unsigned int *cq_tail;
	unsigned int cq_mask;
	struct io_uring_cqe *cqes;

	void *rings;
	size_t rings_size;
	size_t sqes_size;
};

/* Any thread may register with it, until one enters: then it is that one's. */
int mp__ring_create(struct mp__ring *ring, unsigned int requests,
		    unsigned int completions);
void mp__ring_destroy(struct mp__ring *ring);
int mp__ring_register(struct mp__ring *ring, unsigned int opcode,
		      const void *arg, unsigned int n);
bool mp__ring_has_op(struct mp__ring *ring, unsigned int op);

/* A zeroed entry, or NULL: the ring is full, enter first. */
struct io_uring_sqe *mp__ring_sqe(struct mp__ring *ring);

/* Forget what is pending. */
static inline void mp__ring_forget(struct mp__ring *ring)
{
	ring->tail = __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
}

/* How many entries wait to be submitted. */
static inline unsigned int mp__ring_pending(const struct mp__ring *ring)
{
	return ring->tail - __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
}

/*
 * One system call: submit what is pending, and, with get, run what the kernel
 * has put off and wait for wait_nr completions until the deadline.
 * min_wait_us: with fewer than wait_nr by then, one is enough.
 *
 * Returns why it came back: -EINTR and -ETIME if a signal or the deadline ended
 * the wait and there is no completion, whatever was submitted; -EAGAIN and
 * -EBUSY if the kernel takes no entries now; 0; another error is for good. What
 * was submitted, mp__ring_pending() tells.
 */
struct mp__wait {
	bool get;
	unsigned int wait_nr;
	int64_t deadline_us; /* see mp__left_us() */
	uint32_t min_wait_us;
};

int mp__ring_enter(struct mp__ring *ring, const struct mp__wait *wait);

static inline unsigned int mp__ring_ready(const struct mp__ring *ring)
{
	return __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) -
	       *ring->cq_head;
}

static inline bool mp__ring_overflown(const struct mp__ring *ring)
{
	return __atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED) &
	       IORING_SQ_CQ_OVERFLOW;
}

/* Takes the oldest completion out of the ring. */
static inline bool mp__ring_take(struct mp__ring *ring,
				 struct io_uring_cqe *cqe)
{
	unsigned int head = *ring->cq_head;

	if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		return false;
	*cqe = ring->cqes[head & ring->cq_mask];
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return true;
}

#endif
