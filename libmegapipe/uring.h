/* SPDX-License-Identifier: MIT */
/*
 * Inside engine uring: operations (engine_uring.c), receiving (receive.c),
 * commands (command.c).
 */
#ifndef MP_URING_H
#define MP_URING_H

#include "engine.h"
#include "moderation.h"
#include "ring.h"

#define MP__BUFFER_GROUP 0

TAILQ_HEAD(mp__starved, mp_handle);

struct mp__uring {
	struct mp__ring ring;
	unsigned int from_memory;
	struct mp__moderation moderation;
	struct io_uring_buf_ring *buf_ring;
	size_t buf_ring_size;
	uint16_t buf_tail;
	uint32_t fresh; /* buffers from here on were never provided */
	struct mp__starved starved; /* want a buffer */
	bool has_options;	    /* of sockets, without an fd */
};

static inline struct mp__uring *mp__uring(struct mp_channel *ch)
{
	return ch->priv;
}

/* What user_data points to, in the bits that alignment leaves free. */
enum mp__tag {
	MP__TAG_NONE, /* nobody waits for it */
	MP__TAG_OP,
	MP__TAG_POLL, /* struct mp__op, waiting for readiness */
	MP__TAG_QUEUE,
	MP__TAG_CANCEL, /* struct mp__queue, the cancel of its requests */
	MP__TAG_AHEAD,	/* struct mp_handle, its multishot receive */
	MP__TAG_COMMAND,
	MP__TAG_PEER,	/* struct mp__op, an accepted connection's */
	MP__TAG_ENDING, /* struct mp_handle, a cancel of something of it */
	MP__TAG_MASK = MP__TAGGED_ALIGN - 1,
};

struct io_uring_sqe *mp__uring_sqe(struct mp_channel *ch, void *object,
				   enum mp__tag tag);
void mp__uring_target(struct io_uring_sqe *sqe, const struct mp_handle *handle);
void mp__uring_end(struct mp_handle *handle, void *object, enum mp__tag tag);
void mp__uring_submit_op(struct mp__op *op);
unsigned int mp__uring_reap(struct mp_channel *ch, unsigned int max);

int mp__uring_enter(struct mp_channel *ch, const struct mp__wait *wait);

/* command.c */
struct mp__command {
	MP__TAGGED bool is_done;
	int result;
};

#define MP__IS_TAGGABLE(type)                              \
	_Static_assert(_Alignof(type) > (int)MP__TAG_MASK, \
		       "its address has no room for a tag")

MP__IS_TAGGABLE(struct mp__op);
MP__IS_TAGGABLE(struct mp_handle);
MP__IS_TAGGABLE(struct mp__queue);
MP__IS_TAGGABLE(struct mp__command);

int mp__uring_install_fd(struct mp_channel *ch, unsigned int slot);
bool mp__uring_has_options(void);
int mp__uring_setsockopt(struct mp_handle *handle, int level, int name,
			 const void *value, socklen_t len);
int mp__uring_getsockopt(struct mp_handle *handle, int level, int name,
			 void *value, socklen_t *len);
int mp__uring_getpeername(struct mp_handle *handle, struct sockaddr *addr,
			  socklen_t *len);
bool mp__uring_name_peer(struct mp__op *op);
void mp__uring_named(struct mp__op *op, int result);

/* receive.c */
int mp__uring_buffers(struct mp_channel *ch);
void mp__uring_took_buffer(struct mp_channel *ch);
void mp__uring_release(struct mp_channel *ch, uint32_t buffer);
void mp__starve(struct mp_handle *handle);
bool mp__is_hungry(struct mp_channel *ch);
bool mp__feed(struct mp_channel *ch);
void mp__ahead_read(struct mp__op *op);
bool mp__ahead_cancel(struct mp__op *op);
void mp__ahead_stop(struct mp_handle *handle);
void mp__ahead_missed(struct mp_handle *handle);
bool mp__ahead_can_close(const struct mp_handle *handle);
bool mp__ahead_close(struct mp__op *op, int result);
void mp__ahead_single_done(struct mp_handle *handle);
void mp__ahead_drop(struct mp_handle *handle);
void mp__ahead_received(struct mp_handle *handle, int result,
			unsigned int flags);

#endif
