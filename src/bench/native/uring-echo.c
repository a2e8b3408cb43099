// SPDX-License-Identifier: MIT
/*
 * The rival that uses io_uring by hand, with all that it has for servers:
 * connections accepted into direct descriptors by one request for all, received
 * into provided buffers by one request a connection, sent out of the very
 * buffers. What libmegapipe costs is what it is slower by. Options:
 * echo-server.h.
 *
 * Linux 6.1 or newer.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "echo-server.h"

#define REQUESTS 4096
#define COMPLETIONS 16384
#define SLOTS 16384  /* connections of a thread at a time */
#define BUFFERS 1024 /* a power of 2 */
#define BUFFERS_MIN 16
#define BUFFERS_BYTES (1 << 20) /* more would fall out of the CPU's cache */
#define BUFFER_SIZE 4096
#define LINE 64 /* of a cache */
#define GROUP 0
#define NONE UINT16_MAX

/* What a completion is of; user_data has it, the slot and the buffer. */
enum tag { TAG_ACCEPT, TAG_RECEIVE, TAG_SEND, TAG_OTHER };

struct conn {
	uint16_t first; /* buffers that are to be sent, in their order */
	uint16_t last;
	bool is_receiving;
	bool is_sending;
	bool is_over; /* nothing more is to be received */
};

struct server {
	int enter_fd;
	int listener;
	/* requests */
	unsigned int *sq_head;
	unsigned int *sq_tail;
	unsigned int tail;
	struct io_uring_sqe *sqes;
	/* completions */
	unsigned int *cq_head;
	unsigned int *cq_tail;
	unsigned int cq_mask;
	struct io_uring_cqe *cqes;
	/* buffers */
	struct io_uring_buf_ring *ring;
	char *bytes;
	uint32_t buffer_size;
	size_t stride;
	unsigned int n_buffers;
	unsigned int n_provided;
	uint16_t ring_tail;
	uint16_t next[BUFFERS]; /* in a connection's queue */
	uint32_t size[BUFFERS];
	/* connections */
	struct conn conns[SLOTS];
	uint16_t starved[SLOTS]; /* want a buffer, in their order */
	unsigned int first_starved;
	unsigned int n_starved;
};

/* -------------------------------------------------------------- requests */

static void enter(struct server *s, unsigned int wait)
{
	unsigned int submit;

	__atomic_store_n(s->sq_tail, s->tail, __ATOMIC_RELEASE);
	submit = s->tail - __atomic_load_n(s->sq_head, __ATOMIC_ACQUIRE);
	if (syscall(SYS_io_uring_enter, s->enter_fd, submit, wait,
		    IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL,
		    0) < 0 &&
	    errno != EINTR && errno != EAGAIN && errno != EBUSY)
		err(1, "io_uring_enter");
}

static struct io_uring_sqe *request(struct server *s, int opcode, enum tag tag,
				    unsigned int slot, unsigned int buffer)
{
	struct io_uring_sqe *sqe;

	while (s->tail - __atomic_load_n(s->sq_head, __ATOMIC_ACQUIRE) ==
	       REQUESTS)
		enter(s, 0);
	sqe = &s->sqes[s->tail++ % REQUESTS];
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = (__u8)opcode;
	sqe->user_data = tag | (__u64)slot << 8 | (__u64)buffer << 32;
	return sqe;
}

static struct io_uring_sqe *slot_request(struct server *s, int opcode,
					 enum tag tag, unsigned int slot,
					 unsigned int buffer)
{
	struct io_uring_sqe *sqe = request(s, opcode, tag, slot, buffer);

	sqe->fd = (int)slot;
	sqe->flags = IOSQE_FIXED_FILE;
	return sqe;
}

static void accept_more(struct server *s)
{
	struct io_uring_sqe *sqe =
		request(s, IORING_OP_ACCEPT, TAG_ACCEPT, 0, 0);

	sqe->fd = s->listener;
	sqe->ioprio = IORING_ACCEPT_MULTISHOT;
	sqe->file_index = IORING_FILE_INDEX_ALLOC;
}

static void receive(struct server *s, unsigned int slot)
{
	struct io_uring_sqe *sqe =
		slot_request(s, IORING_OP_RECV, TAG_RECEIVE, slot, 0);

	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	sqe->ioprio = IORING_RECV_MULTISHOT;
	s->conns[slot].is_receiving = true;
}

static void send_first(struct server *s, unsigned int slot)
{
	unsigned int buffer = s->conns[slot].first;
	struct io_uring_sqe *sqe =
		slot_request(s, IORING_OP_SEND, TAG_SEND, slot, buffer);

	sqe->addr = (uintptr_t)s->bytes + buffer * s->stride;
	sqe->len = s->size[buffer];
	sqe->msg_flags = MSG_WAITALL | MSG_NOSIGNAL;
	s->conns[slot].is_sending = true;
}

static void close_slot(struct server *s, unsigned int slot)
{
	struct io_uring_sqe *sqe =
		request(s, IORING_OP_CLOSE, TAG_OTHER, slot, 0);

	sqe->file_index = slot + 1;
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
}

/* --------------------------------------------------------------- buffers */

static void provide(struct server *s, unsigned int buffer)
{
	struct io_uring_buf *entry =
		&s->ring->bufs[s->ring_tail++ & (s->n_buffers - 1)];

	entry->addr = (uintptr_t)s->bytes + buffer * s->stride;
	entry->len = s->buffer_size;
	entry->bid = (__u16)buffer;
	__atomic_store_n(&s->ring->tail, s->ring_tail, __ATOMIC_RELEASE);
	s->n_provided++;
}

static void starve(struct server *s, unsigned int slot)
{
	s->starved[(s->first_starved + s->n_starved++) % SLOTS] =
		(uint16_t)slot;
}

/* There are buffers again: as many try to receive. */
static void feed(struct server *s, unsigned int n_buffers)
{
	for (; n_buffers && s->n_starved; n_buffers--, s->n_starved--)
		receive(s, s->starved[s->first_starved++ % SLOTS]);
}

/* ----------------------------------------------------------- connections */

static void end_if_over(struct server *s, unsigned int slot)
{
	struct conn *c = &s->conns[slot];

	if (c->is_over && !c->is_receiving && !c->is_sending)
		close_slot(s, slot);
}

/* What is still to be sent goes nowhere. */
static void drop_queue(struct server *s, struct conn *c)
{
	while (c->first != NONE) {
		provide(s, c->first);
		c->first = s->next[c->first];
	}
}

static void accepted(struct server *s, const struct io_uring_cqe *cqe)
{
	if (cqe->res >= 0) {
		s->conns[cqe->res] = (struct conn){ .first = NONE };
		receive(s, (unsigned int)cqe->res);
	}
	if (!(cqe->flags & IORING_CQE_F_MORE))
		accept_more(s);
}

static void received(struct server *s, const struct io_uring_cqe *cqe,
		     unsigned int slot)
{
	struct conn *c = &s->conns[slot];
	unsigned int buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

	c->is_receiving = cqe->flags & IORING_CQE_F_MORE;
	if (cqe->flags & IORING_CQE_F_BUFFER)
		s->n_provided--;
	if (cqe->res > 0) {
		s->size[buffer] = (uint32_t)cqe->res;
		s->next[buffer] = NONE;
		if (c->first == NONE)
			c->first = (uint16_t)buffer;
		else
			s->next[c->last] = (uint16_t)buffer;
		c->last = (uint16_t)buffer;
		if (!c->is_sending)
			send_first(s, slot);
		if (!c->is_receiving)
			receive(s, slot);
	} else if (cqe->res == -ENOBUFS) {
		starve(s, slot);
	} else {
		c->is_over = true;
		end_if_over(s, slot);
	}
}

static void sent(struct server *s, const struct io_uring_cqe *cqe,
		 unsigned int slot, unsigned int buffer)
{
	struct conn *c = &s->conns[slot];

	c->is_sending = false;
	if (cqe->res != (int)s->size[buffer]) {
		drop_queue(s, c);
		/* The receive ends of it. */
		slot_request(s, IORING_OP_SHUTDOWN, TAG_OTHER, slot, 0)->len =
			SHUT_RDWR;
	} else {
		c->first = s->next[buffer];
		provide(s, buffer);
		feed(s, 1);
		if (c->first != NONE)
			send_first(s, slot);
	}
	end_if_over(s, slot);
}

static void complete(struct server *s, const struct io_uring_cqe *cqe)
{
	unsigned int slot = (cqe->user_data >> 8) & 0xffffff;

	switch (cqe->user_data & 0xff) {
	case TAG_ACCEPT:
		accepted(s, cqe);
		break;
	case TAG_RECEIVE:
		received(s, cqe, slot);
		break;
	case TAG_SEND:
		sent(s, cqe, slot, (unsigned int)(cqe->user_data >> 32));
		break;
	}
}

/* ----------------------------------------------------------- at the start */

static void must(long result, const char *what)
{
	if (result < 0)
		err(1, "%s", what);
}

static void *map(int fd, size_t size, off_t offset)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS :
				 MAP_SHARED | MAP_POPULATE,
			fd, offset);

	if (at == MAP_FAILED)
		err(1, "mmap");
	return at;
}

static void map_ring(struct server *s, int fd, const struct io_uring_params *p)
{
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(*s->cqes);
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned int);
	char *rings = map(fd, cq > sq ? cq : sq, IORING_OFF_SQ_RING);
	unsigned int *array = (unsigned int *)(rings + p->sq_off.array);

	s->sqes = map(fd, p->sq_entries * sizeof(*s->sqes), IORING_OFF_SQES);
	s->sq_head = (unsigned int *)(rings + p->sq_off.head);
	s->sq_tail = (unsigned int *)(rings + p->sq_off.tail);
	s->cq_head = (unsigned int *)(rings + p->cq_off.head);
	s->cq_tail = (unsigned int *)(rings + p->cq_off.tail);
	s->cq_mask = p->cq_entries - 1;
	s->cqes = (struct io_uring_cqe *)(rings + p->cq_off.cqes);
	for (unsigned int i = 0; i < p->sq_entries; i++)
		array[i] = i;
}

static void set_up(int fd, unsigned int what, const void *arg, unsigned int n)
{
	must(syscall(SYS_io_uring_register, fd, what, arg, n),
	     "io_uring_register");
}

static void make_ring(struct server *s)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_CQSIZE,
		.cq_entries = COMPLETIONS,
	};
	int fd = (int)syscall(SYS_io_uring_setup, REQUESTS, &p);
	struct io_uring_rsrc_register slots = {
		.nr = SLOTS,
		.flags = IORING_RSRC_REGISTER_SPARSE,
	};

	must(fd, "io_uring_setup");
	map_ring(s, fd, &p);
	set_up(fd, IORING_REGISTER_FILES2, &slots, sizeof(slots));

	struct io_uring_rsrc_update self = { .offset = -1U, .data = (__u64)fd };

	set_up(fd, IORING_REGISTER_RING_FDS, &self, 1);
	s->enter_fd = (int)self.offset;

	struct io_uring_buf_reg buffers = { .ring_entries = s->n_buffers,
					    .bgid = GROUP };

	s->ring = map(-1, s->n_buffers * sizeof(struct io_uring_buf), 0);
	s->bytes = map(-1, s->n_buffers * s->stride, 0);
	buffers.ring_addr = (uintptr_t)s->ring;
	set_up(fd, IORING_REGISTER_PBUF_RING, &buffers, 1);
	for (unsigned int i = 0; i < s->n_buffers; i++)
		provide(s, i);
}

static void size_buffers(struct server *s)
{
	s->n_buffers = BUFFERS;
	s->buffer_size = BUFFER_SIZE;
	if (echo_message_bytes > BUFFER_SIZE)
		s->buffer_size = (uint32_t)echo_message_bytes;
	while (echo_message_bytes && s->n_buffers > BUFFERS_MIN &&
	       s->n_buffers * (size_t)s->buffer_size > BUFFERS_BYTES)
		s->n_buffers /= 2;
	/* Else the beginnings of all would compete for the same lines. */
	s->stride = s->buffer_size + LINE;
}

/* Returns how many completions there were. */
static unsigned int complete_all(struct server *s)
{
	unsigned int head = *s->cq_head, first = head;
	unsigned int tail = __atomic_load_n(s->cq_tail, __ATOMIC_ACQUIRE);

	while (head != tail)
		complete(s, &s->cqes[head++ & s->cq_mask]);
	__atomic_store_n(s->cq_head, head, __ATOMIC_RELEASE);
	return tail - first;
}

static void serve_uring(struct worker *worker)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s)
		err(1, "calloc");
	size_buffers(s);
	s->listener = worker->listener;
	make_ring(s);
	accept_more(s);
	echo_ready();
	for (;;) {
		/* Who tried may have had nothing to receive. */
		bool is_hungry = s->n_starved && s->n_provided;

		enter(s, !is_hungry);
		if (!complete_all(s) && is_hungry)
			feed(s, s->n_provided);
	}
}

static void tell(void)
{
	printf("io_uring, %s\n", echo_queues_name());
}

int main(int argc, char **argv)
{
	static const struct echo_server server = {
		.options = "t:a:p:m:rs",
		.serve = serve_uring,
		.tell = tell,
	};

	return echo_main(argc, argv, &server);
}
