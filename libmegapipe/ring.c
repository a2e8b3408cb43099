// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <errno.h>
#include <linux/time_types.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.h"
#include "ring.h"

/*
 * One thread submits and its completions are posted when it asks for them,
 * not by interrupting it: anything else costs half the throughput.
 */
#define SETUP_FLAGS                                                           \
	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |            \
	 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | \
	 IORING_SETUP_R_DISABLED)

#define NEEDED_FEATURES                                                       \
	(IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | \
	 IORING_FEAT_CQE_SKIP)

static void unmap_rings(struct mp__ring *ring)
{
	munmap(ring->sqes, ring->sqes_size);
	munmap(ring->rings, ring->rings_size);
}

static int map_rings(struct mp__ring *ring, const struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned int);
	size_t cq =
		p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;

	ring->rings_size = sq > cq ? sq : cq;
	ring->sqes_size = p->sq_entries * sizeof(struct io_uring_sqe);
	ring->rings = mmap(NULL, ring->rings_size, prot, flags, ring->fd,
			   IORING_OFF_SQ_RING);
	if (ring->rings == MAP_FAILED)
		return -errno;
	ring->sqes = mmap(NULL, ring->sqes_size, prot, flags, ring->fd,
			  IORING_OFF_SQES);
	if (ring->sqes == MAP_FAILED) {
		munmap(ring->rings, ring->rings_size);
		return -errno;
	}
	/* As a mapping of the ring it would keep it open. */
	if (mp__not_in_child(ring->rings, ring->rings_size) ||
	    mp__not_in_child(ring->sqes, ring->sqes_size)) {
		unmap_rings(ring);
		return -ENOMEM;
	}
	return 0;
}

static void point_into(struct mp__ring *ring, const struct io_uring_params *p)
{
	char *base = ring->rings;
	unsigned int *array = (unsigned int *)(base + p->sq_off.array);

	ring->sq_head = (unsigned int *)(base + p->sq_off.head);
	ring->sq_tail = (unsigned int *)(base + p->sq_off.tail);
	ring->sq_flags = (unsigned int *)(base + p->sq_off.flags);
	ring->sq_entries = p->sq_entries;
	ring->sq_mask = p->sq_entries - 1;
	ring->cq_head = (unsigned int *)(base + p->cq_off.head);
	ring->cq_tail = (unsigned int *)(base + p->cq_off.tail);
	ring->cq_mask = p->cq_entries - 1;
	ring->cqes = (struct io_uring_cqe *)(base + p->cq_off.cqes);
	/* Entries are used in order: the indirection is never changed. */
	for (unsigned int i = 0; i < p->sq_entries; i++)
		array[i] = i;
}

/* Spares the kernel the look-up of the fd at each call. */
static void register_self(struct mp__ring *ring)
{
	struct io_uring_rsrc_update self = {
		.offset = -1U,
		.data = ring->fd,
	};

	if (mp__ring_register(ring, IORING_REGISTER_RING_FDS, &self, 1) != 1)
		return;
	ring->enter_fd = self.offset;
	ring->enter_flags = IORING_ENTER_REGISTERED_RING;
}

static int refused(const char *call, int error)
{
	if (error != EPERM && error != EACCES && error != ENOSYS)
		return 0;
	mp__why("a seccomp filter (of a container, or of a systemd unit) lets "
		"io_uring_setup() pass, and refuses %s(), which engine uring "
		"needs too: %s",
		call, strerror(error));
	return -error;
}

/*
 * A ring that can be made can't be used yet: a filter of system calls may have
 * forgotten the other two. Asked here for nothing, since a thread that has
 * begun can't take another engine any more.
 */
static int check_calls(struct mp__ring *ring)
{
	int ret = refused("io_uring_register",
			  -mp__ring_register(ring, IORING_UNREGISTER_FILES,
					     NULL, 0));

	if (ret)
		return ret;
	if (syscall(SYS_io_uring_enter, ring->fd, 0, 0, 0, NULL, 0) < 0)
		return refused("io_uring_enter", errno);
	return 0;
}

static void close_ring(struct mp__ring *ring)
{
	mp__fd_disown(ring->fd);
	close(ring->fd);
}

int mp__ring_create(struct mp__ring *ring, unsigned int requests,
		    unsigned int completions)
{
	struct io_uring_params p = {
		.flags = SETUP_FLAGS,
		.cq_entries = completions,
	};
	int ret;

	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(SYS_io_uring_setup, requests, &p);
	if (ring->fd < 0) {
		ret = errno;
		mp__why_no_ring(ret);
		return ret == EINVAL ? -ENOSYS : -ret;
	}
	mp__fd_own(ring->fd);
	ret = (p.features & NEEDED_FEATURES) == NEEDED_FEATURES ?
		      map_rings(ring, &p) :
		      -ENOSYS;
	if (ret) {
		mp__why_no_ring(ret == -ENOSYS ? EINVAL : -ret);
		close_ring(ring);
		return ret;
	}
	ring->features = p.features;
	point_into(ring, &p);
	ring->enter_fd = ring->fd;
	ret = check_calls(ring);
	if (ret) {
		unmap_rings(ring);
		close_ring(ring);
	}
	return ret;
}

void mp__ring_destroy(struct mp__ring *ring)
{
	struct io_uring_rsrc_update self = { .offset = ring->enter_fd };

	if (ring->enter_flags)
		mp__ring_register(ring, IORING_UNREGISTER_RING_FDS, &self, 1);
	unmap_rings(ring);
	close_ring(ring);
}

int mp__ring_register(struct mp__ring *ring, unsigned int opcode,
		      const void *arg, unsigned int n)
{
	int ret = syscall(SYS_io_uring_register, ring->fd, opcode, arg, n);

	return ret < 0 ? -errno : ret;
}

bool mp__ring_has_op(struct mp__ring *ring, unsigned int op)
{
	size_t size = sizeof(struct io_uring_probe) +
		      256 * sizeof(struct io_uring_probe_op);
	struct io_uring_probe *probe = calloc(1, size);
	bool has;

	if (!probe)
		return false;
	has = !mp__ring_register(ring, IORING_REGISTER_PROBE, probe, 256) &&
	      op <= probe->last_op &&
	      (probe->ops[op].flags & IO_URING_OP_SUPPORTED);
	free(probe);
	return has;
}

struct io_uring_sqe *mp__ring_sqe(struct mp__ring *ring)
{
	struct io_uring_sqe *sqe;

	if (mp__ring_pending(ring) == ring->sq_entries)
		return NULL;
	sqe = &ring->sqes[ring->tail++ & ring->sq_mask];
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

static void fill_arg(struct mp__getevents_arg *arg,
		     struct __kernel_timespec *ts, const struct mp__wait *wait)
{
	int64_t left_us = mp__left_us(wait->deadline_us);

	memset(arg, 0, sizeof(*arg));
	arg->sigmask_sz = _NSIG / 8;
	arg->min_wait_usec = wait->min_wait_us;
	if (left_us < 0)
		return;
	ts->tv_sec = left_us / 1000000;
	ts->tv_nsec = left_us % 1000000 * 1000;
	arg->ts = (uintptr_t)ts;
}

/*
 * Of a call that has submitted something the kernel tells how much, and not
 * what ended the wait. Without a completion that was the deadline, if it is
 * over, or else a signal; unless it was short of memory for the next entry:
 * then it didn't wait.
 */
static int why_back(const struct mp__ring *ring, const struct mp__wait *wait)
{
	if (!wait->wait_nr || mp__ring_ready(ring) || mp__ring_pending(ring))
		return 0;
	return mp__left_us(wait->deadline_us) ? -EINTR : -ETIME;
}

/* By the thread that enters first: from then on it is the only one. */
MP__RARELY static int enable(struct mp__ring *ring)
{
	int ret =
		mp__ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

	if (!ret)
		register_self(ring);
	return ret;
}

int mp__ring_enter(struct mp__ring *ring, const struct mp__wait *wait)
{
	unsigned int flags = ring->enter_flags;
	struct mp__getevents_arg arg;
	struct __kernel_timespec ts;
	int ret;

	if (wait->get) {
		flags |= IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
		fill_arg(&arg, &ts, wait);
	}
	__atomic_store_n(ring->sq_tail, ring->tail, __ATOMIC_RELEASE);
	ret = syscall(SYS_io_uring_enter, ring->enter_fd,
		      mp__ring_pending(ring), wait->wait_nr, flags,
		      wait->get ? &arg : NULL, wait->get ? sizeof(arg) : 0);
	if (ret > 0)
		return why_back(ring, wait);
	if (ret < 0 && errno == EBADFD && !enable(ring))
		return mp__ring_enter(ring, wait);
	return ret < 0 ? -errno : 0;
}
